"""Where the files are that come with the broker: schemas, processes, sample addresses."""

from pathlib import Path

import broker
from broker.errors import Misconfigured


def shipped(name: str) -> Path:
    """Return the folder `name`: inside the package when it was installed, beside it in a checkout.

    Raises Misconfigured where there is none. The package's own place is asked for, not this file's: an editable
    install leaves a stale copy of the folders where packages are installed, without the package.
    """
    for root in broker.__path__:
        for folder in (Path(root, "_shipped", name), Path(root).parent / name):
            if folder.is_dir():
                return folder
    raise Misconfigured(f"the folder {name} did not come with the package", where="installation", hint="install anew")
