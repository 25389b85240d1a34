"""HTTP over the operators' socket of a running broker."""

import http.client
from pathlib import Path

from broker.web.unix import connected


class OverSocket(http.client.HTTPConnection):
    """A connection to the socket at `path`; `patience` in seconds, for each step."""

    def __init__(self, path: Path, *, patience: float) -> None:
        super().__init__("broker", timeout=patience)
        self._path, self._patience = path, patience

    def connect(self) -> None:
        """Connect, as `http.client` asks for it. Raises OSError."""
        self.sock = connected(self._path, self._patience)
