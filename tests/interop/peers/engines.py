"""All engines by name."""

from tests.interop.peers.base import Engine
from tests.interop.peers.core import EbmsCore
from tests.interop.peers.hermes import Hermes
from tests.interop.peers.nav import Nav
from tests.interop.peers.nhn import Nhn
from tests.interop.peers.nhs import Nhs

ENGINES: dict[str, type[Engine]] = {one.name: one for one in (EbmsCore, Nav, Nhn, Hermes, Nhs)}
