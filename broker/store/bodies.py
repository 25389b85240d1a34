"""How bodies are kept: each encrypted under a key of its own, which the site key wraps. Without the key it is gone.

A large body is a file of its own, on disk before the transaction that names it; so a file that no row names is left
over from a crash or an erasure, and is swept when the store opens.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.message import NewBody
from broker.ports import BodyDamaged

MAX_IN_ROW = 256 * 1024  # bytes; above it a file is several times faster (12 MB: 10 ms against 64)
SMALL = 64 * 1024  # bytes: to seal or open less takes less time than to hand it to a thread
KEY_SIZE = 32  # bytes: AES-256
_NONCE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBody:
    """A body as it is kept: in `sealed`, or in the file named `file`."""

    id: str
    size: int  # bytes before encryption
    wrapped: bytes = field(repr=False)
    sealed: bytes | None = field(repr=False)
    file: str | None


def encrypt(cipher: AESGCM, content: bytes, *, bound_to: str) -> bytes:
    """Return nonce and AES-256-GCM ciphertext, which opens only under the same `bound_to`."""
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, content, bound_to.encode())


def decrypt(cipher: AESGCM, sealed: bytes, *, bound_to: str) -> bytes:
    """Return the content. Raises BodyDamaged when it does not authenticate."""
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())
    except (InvalidTag, ValueError) as error:  # ValueError: cut shorter than a nonce
        raise BodyDamaged(f"body {bound_to} does not authenticate") from error


class Vault:
    """Seals and opens bodies. Blocking; its methods may be called from any thread."""

    def __init__(self, folder: Path, site_key: bytes) -> None:
        self._folder, self._wrapping = folder, AESGCM(site_key)  # to make it costs as much as a body

    def seal(self, bodies: Sequence[NewBody]) -> tuple[SealedBody, ...]:
        """Encrypt, and put the large ones on disk (fsynced, name and all). Raises OSError, having left nothing."""
        sealed: list[SealedBody] = []
        try:
            for body in bodies:
                sealed.append(self._seal(body))  # known one by one, for when the next fails
            if any(body.file for body in sealed):
                fsync_folder(self._folder)
        except OSError:
            self.remove(body.file for body in sealed)
            raise
        return tuple(sealed)

    def _seal(self, body: NewBody) -> SealedBody:
        key = AESGCM.generate_key(KEY_SIZE * 8)
        content = encrypt(AESGCM(key), body.content, bound_to=body.id)
        name = None
        if len(body.content) > MAX_IN_ROW:
            name = os.urandom(16).hex()  # random, for it must say nothing of the body
            _write_file(self._folder / name, content)
        return SealedBody(
            id=body.id,
            size=len(body.content),
            wrapped=encrypt(self._wrapping, key, bound_to=body.id),
            sealed=content if name is None else None,
            file=name,
        )

    def open(self, body: str, *, wrapped: bytes, sealed: bytes | None, file: str | None) -> bytes:
        """Return the content of the body `body`. Raises BodyDamaged, or FileNotFoundError where its file is gone."""
        key = decrypt(self._wrapping, wrapped, bound_to=body)
        if file is not None:
            try:
                sealed = (self._folder / file).read_bytes()
            except FileNotFoundError:
                raise
            except OSError as error:
                raise BodyDamaged(f"the file of body {body} can't be read") from error
        return decrypt(AESGCM(key), sealed or b"", bound_to=body)

    def remove(self, files: Iterable[str | None]) -> None:
        """Remove files of bodies, so that they stay removed. Raises OSError; what is gone already is no error."""
        names = [name for name in files if name is not None]
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
        if names:
            fsync_folder(self._folder)

    def sweep(self, known: Collection[str]) -> int:
        """Remove the files that are not `known`, and return how many. Only while nobody writes."""
        orphans = [entry.name for entry in os.scandir(self._folder) if entry.name not in known]
        self.remove(orphans)
        return len(orphans)


def _write_file(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    try:
        with open(part, "xb", opener=_private) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def fsync_folder(folder: Path) -> None:
    """Put the folder's names on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
