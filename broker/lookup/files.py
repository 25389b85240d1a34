"""How a file that must not be lost, or not be read by others, is written."""

import os
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that does not exist yet, and make it durable. Raises FileExistsError and other OSErrors.

    The mode holds from the first byte on: nobody can open the file between its making and its closing.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)  # whatever the umask says
            file.write(content)
            file.flush()
            os.fsync(handle)
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)  # else the next start would trust what a power cut may still take
        raise


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    """Put new content in the place of a file at one instant: a reader sees the old or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    write_new(draft, content, mode=mode)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def others_may_read(path: Path) -> bool:
    """Say whether any user of the machine may read the file. The group may: that is how services share a key."""
    return bool(path.stat().st_mode & 0o007)
