"""`broker backup` and `broker restore`: what belongs to a backup, its manifest, and where each file goes again.

A backup is a folder: the store, copies of settings, records, processes and clients, and manifest.json with a digest of
every file, which has a digest of its own. The site key and private keys are in it only where they are asked for:
without them no body in it can be read, and so they are to be kept elsewhere.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final

from broker import __version__
from broker.config import Settings, load
from broker.errors import Misconfigured
from broker.lookup.clock import SystemClock
from broker.lookup.files import PRIVATE, sync_folder, write_new
from broker.lookup.shipped import shipped
from broker.lookup.site_key import SIZE
from broker.store.backup import Contents, Damaged, copy_file, copy_store, inspect_store
from broker.store.schema import BODIES, DATABASE

MANIFEST: Final = "manifest.json"
_SUM: Final = "manifest.json.sha256"
_FORMAT: Final = 1
_STORE, _SETTINGS, _CLIENTS, _KEY = "store", "broker.toml", "clients.toml", "site.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was verified."""

    folder: Path
    manifest: dict[str, Any]
    contents: Contents

    def as_json(self) -> dict[str, Any]:
        """Return what is told of it."""
        return {
            "backup": str(self.folder),
            "madeAt": self.manifest["madeAt"],
            "version": self.manifest["version"],
            "files": len(self.manifest["files"]),
            "keysInside": self.manifest["keysInside"],
            "schema": self.contents.schema,
            "messages": self.contents.messages,
            "bodies": self.contents.bodies,
            "bodiesOpened": self.contents.opened,
        }


def back_up(config: Path, to: Path, *, with_keys: bool) -> Backup:
    """Make the backup `to`, which must not exist yet, verify it, and return it. A broker may run meanwhile.

    It gets its name when it is whole. Raises Misconfigured, Damaged, StoreBroken.
    """
    settings = load(config)
    to = Path(os.path.abspath(to))
    if to.exists():
        raise Misconfigured("exists already", where=str(to), hint="name a folder that does not: a backup replaces none")
    draft = to.with_name(f".{to.name}.{os.getpid()}.new")
    now = SystemClock().now()
    try:
        draft.mkdir(mode=0o700, parents=True)
        (draft / _STORE).mkdir(mode=0o700)
        copy_store(settings.data, draft / _STORE, now=now)
        for name, source in _files(config, settings, with_keys=with_keys):
            _copy(source, draft / name)
        _write_manifest(draft, settings, now=now, with_keys=with_keys)
        made = verify(draft, site_key=_read_key(settings.site_key_file))
        draft.rename(to)
        sync_folder(to.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise Misconfigured(f"can't be written ({error.strerror})", where=str(to)) from None
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Backup(folder=to, manifest=made.manifest, contents=made.contents)


def verify(folder: Path, *, site_key: bytes | None) -> Backup:
    """Read a backup from end to end: every digest, the database, and with the site key every body.

    The site key is the one given, else the one inside. Raises Damaged, Misconfigured.
    """
    manifest = _read_manifest(folder)
    listed = dict(manifest["files"])
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST, _SUM}
    for name in sorted(listed.keys() | found):
        if name not in found:
            raise Damaged(f"{name}: is missing from the backup", hint="take another backup")
        if name not in listed:
            raise Damaged(f"{name}: does not belong to the backup", hint="take it away, or take another backup")
        if _digest(folder / name) != listed[name]:
            raise Damaged(f"{name}: has changed since the backup was made", hint="take another backup")
    key = _read_key(folder / _KEY) if _KEY in listed else site_key
    return Backup(folder=folder, manifest=manifest, contents=inspect_store(folder / _STORE, site_key=key))


def verified_by(folder: Path, config: Path) -> Backup:
    """Verify with the site key of the settings, where there are settings. Raises as `verify` does."""
    key = _read_key(load(config).site_key_file) if config.exists() else None
    return verify(folder, site_key=key)


def restore(folder: Path, config: Path) -> tuple[Backup, dict[str, str]]:
    """Verify the backup, put it where the settings say, and say of each part where it went, or why it did not.

    Settings, records and keys that are there already stay. Raises Misconfigured where there is a store already.
    """
    verify(folder, site_key=None)
    told = {}
    if not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        _copy(folder / _SETTINGS, config)
        told[_SETTINGS] = f"restored to {config}"
    settings = load(config)
    for name in (DATABASE, BODIES):
        if (settings.data / name).exists():
            hint = "a restore replaces nothing: move the data folder away, or name another in the settings"
            raise Misconfigured("there is a store already", where=str(settings.data), hint=hint)
    key = settings.site_key_file
    backup = verify(folder, site_key=_read_key(key))
    try:
        told |= {name: _put_back(folder / name, place) for name, place in _places(folder, settings)}
        _restore_store(folder / _STORE, settings.data)
    except OSError as error:
        raise Misconfigured(f"can't be written ({error.strerror})", where=str(error.filename)) from None
    told[_STORE] = f"restored to {settings.data}"
    if not key.exists():
        told[_KEY] = f"is not in the backup: put it at {key} before the broker starts"
    return backup, told


def _files(config: Path, settings: Settings, *, with_keys: bool) -> Iterator[tuple[str, Path]]:
    """Yield what belongs to a backup beside the store: its name inside, and where it stands."""
    yield _SETTINGS, config
    if settings.clients.exists():
        yield _CLIENTS, settings.clients
    if with_keys:
        yield _KEY, settings.site_key_file
    for name in ("addresses", "agreements", "processes", "schemas", "keys"):
        top: Path = getattr(settings, name)
        if name in ("processes", "schemas") and top == shipped(name):
            continue
        for path in sorted(top.rglob("*")):
            public = name != "keys" or path.suffix == ".crt"
            if path.is_file() and not path.name.startswith(".") and (public or with_keys):
                yield f"{name}/{path.relative_to(top)}", path


def _places(folder: Path, settings: Settings) -> Iterator[tuple[str, Path]]:
    """Yield what the backup has beside store and settings, and where it belongs."""
    all_places = {
        _CLIENTS: settings.clients,
        _KEY: settings.site_key_file,
        **{name: getattr(settings, name) for name in ("addresses", "agreements", "processes", "schemas", "keys")},
    }
    yield from ((name, place) for name, place in all_places.items() if (folder / name).exists())


def _put_back(source: Path, place: Path) -> str:
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        return f"kept as it is at {place}"
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                _copy(path, place / path.relative_to(source))
    else:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(source, place)
    return f"restored to {place}"


def _restore_store(source: Path, data: Path) -> None:
    """Copy the store beside its place, then move it there: a copy that was cut off is no store."""
    draft = data / ".restoring"
    shutil.rmtree(draft, ignore_errors=True)
    for path in (source, *sorted(source.rglob("*"))):
        to = draft / path.relative_to(source)
        if path.is_dir():
            to.mkdir(mode=0o700, parents=True)
        else:
            _copy(path, to)
    (draft / BODIES).mkdir(mode=0o700, exist_ok=True)  # some copying programs leave empty folders out
    (draft / BODIES).rename(data / BODIES)
    (draft / DATABASE).rename(data / DATABASE)
    draft.rmdir()
    sync_folder(data)


def _write_manifest(folder: Path, settings: Settings, *, now: datetime, with_keys: bool) -> None:
    """Write what there is, and of what it is: names and digests of files, and nothing out of them."""
    files = {str(path.relative_to(folder)): _digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = {
        "format": _FORMAT,
        "madeAt": now.isoformat(timespec="seconds"),
        "version": __version__,
        "environment": settings.environment,
        "host": settings.host,
        "keysInside": with_keys,
        "files": files,
    }
    told = (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode()
    write_new(folder / MANIFEST, told, mode=PRIVATE)
    write_new(folder / _SUM, f"{sha256(told).hexdigest()}  {MANIFEST}\n".encode(), mode=PRIVATE)  # as sha256sum writes


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        told, digest = (folder / MANIFEST).read_bytes(), (folder / _SUM).read_text("ascii").split()[0]
    except (OSError, ValueError, IndexError):
        hint = f"it has no {MANIFEST}, or no {_SUM}"
        raise Misconfigured("is no backup of a broker", where=str(folder), hint=hint) from None
    if sha256(told).hexdigest() != digest:
        raise Damaged(f"{MANIFEST}: has changed since the backup was made", hint="take another backup")
    manifest: dict[str, Any] = json.loads(told)
    if manifest["format"] != _FORMAT:
        raise Misconfigured("was made by a newer broker", where=str(folder), hint="restore it with that version")
    return manifest


def _read_key(path: Path) -> bytes | None:
    """Return the site key at `path`, or None where none can be read."""
    try:
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == SIZE else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _copy(source: Path, to: Path) -> None:
    """Copy a file with who may read it, and put it on disk."""
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy_file(source, to, mode=source.stat().st_mode & 0o777)
