"""The code lists as files."""

from pathlib import Path

from broker.errors import Misconfigured
from broker.validation.codes import Codes, read_codes


def code_lists(folder: Path) -> Codes:
    """Return the code lists of a folder, one a TOML file. Raises Misconfigured, also where there is none."""
    try:
        files = {f"{folder.name}/{path.name}": path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))}
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=str(folder)) from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"a file is not UTF-8 at byte {error.start}", where=str(folder)) from None
    if not files:
        raise Misconfigured("there is no code list", where=str(folder), hint="name the folder of the schemas")
    return read_codes(files)
