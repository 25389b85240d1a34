"""The party profiles of a folder, read once: an engine's habits do not change while we run."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from broker.errors import Misconfigured
from broker.lookup.shipped import shipped
from broker.routing.profile import Profile, read_profile


@lru_cache(maxsize=8)
def read_profiles(folder: Path) -> Mapping[str, Profile]:
    """Return all profiles by name. Raises Misconfigured for a file that says what no profile may."""
    profiles: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.toml")):
        source = f"{folder.name}/{path.name}"
        try:
            profile = read_profile(path.read_text("utf-8"), source=source)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise Misconfigured(f"can't be read ({why})", where=source, hint="mend the file") from None
        if profile.name in profiles:
            raise Misconfigured("two profiles have this name", where=source, hint="give each a name of its own")
        profiles[profile.name] = profile
    return profiles


def shipped_profiles() -> Mapping[str, Profile]:
    """Return the profiles that come with the broker."""
    return read_profiles(shipped("profiles"))
