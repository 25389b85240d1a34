"""Other agreements between the two brokers of `pair` than the usual one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from broker.routing.party import Directory, Switch
from tests.scenario.pair import DALBYGDA, FJORDVIK, Pair

USUAL: Mapping[str, Any] = {}
UNSIGNED = {"signed": False, "ack_signed": False, "encrypted": False}
BEST_EFFORT = {"ack_requested": False, "ack_signed": False}
PLAIN = frozenset({Switch.PLAINTEXT})


def agree(brokers: Pair, terms: Mapping[str, Any] = USUAL, *, switches: frozenset[Switch] = frozenset()) -> None:
    """Change the agreement of the two, and what both their records allow."""
    for side in (brokers.left, brokers.right, *brokers.others):
        parties = dict(side.addresses.directory.parties)
        for her in (FJORDVIK, DALBYGDA):
            party = parties[her]
            agreements = tuple(
                replace(one, **terms) if one.ours in (FJORDVIK, DALBYGDA) else one for one in party.agreements
            )
            parties[her] = replace(party, agreements=agreements, switches=party.switches | switches)
        side.addresses.directory = Directory(parties=parties)
