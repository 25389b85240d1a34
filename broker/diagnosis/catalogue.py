"""All error ids with their words, as one table: what the API, the command line, the console and the log show."""

from collections.abc import Mapping
from typing import Final

from broker.diagnosis import at_the_door, on_the_way, own_side
from broker.diagnosis.causes import Cause

CAUSES: Final[Mapping[str, Cause]] = {
    cause.id: cause
    for cause in (
        *at_the_door.DOOR,
        *at_the_door.ADDRESS,
        *on_the_way.TRANSPORT,
        *on_the_way.SIGNALS,
        *on_the_way.RECEIPT,
        *on_the_way.OWN,
        *own_side.INWARDS,
        *own_side.EPJ,
        *own_side.HOUSE,
    )
}
