"""A receiver whose AppRecs say what a test likes, when it likes: each a valid envelope of right's, given to left."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp

from broker import inbound
from broker.envelope.msghead import read_head
from broker.envelope.xml import parse
from broker.message import Answer, PartyRef, StoredEvent, Verdict
from broker.receipts import apprec
from broker.receipts.apprec import GivenError
from broker.web.app import make_epj_app
from broker.web.bodies import Room
from broker.web.listen import listening
from tests.scenario.forge import Draft
from tests.scenario.pair import DALBYGDA, FJORDVIK, Pair, Side, dialogue
from tests.scenario.scenes import RIGHT, caught, for_left

MSG_ID = "44444444-0000-4000-8000-000000000001"


@dataclass
class Stubborn:
    """Right's word about left's message."""

    brokers: Pair
    template: Draft  # an envelope of right's to left
    raw: bytes  # what left sent
    said: int = field(default=0)

    def document(
        self,
        verdict: Verdict,
        *errors: GivenError,
        id: str = "55555555-0000-4000-8000-000000000001",
        about: str | None = None,
    ) -> bytes:
        """Return an AppRec as right's own EPJ would have it."""
        content = apprec.build(
            read_head(parse(self.raw, max_bytes=len(self.raw))),
            version="1.1",
            id=id,
            now=self.brokers.clock.now(),
            sender=PartyRef(her=DALBYGDA, organisation_her=DALBYGDA // 100 * 100),
            verdict=verdict,
            errors=errors,
            texts=self.brokers.right.doors.codes.texts("8221"),
            names={},
            software="Annen EPJ",
            software_version="1",
        )
        return content if about is None else content.replace(MSG_ID.encode(), about.encode())

    def envelope(self, document: bytes) -> Draft:
        """Return a new envelope that holds it."""
        self.said += 1
        return (
            self.template.carrying(for_left(document))
            .edit("<eb:MessageId>[^<]*", f"<eb:MessageId>stubborn-{self.said}@b{DALBYGDA}.test")
            .signed(RIGHT)
        )

    async def send(self, draft: Draft) -> Answer:
        """POST it to left."""
        entity = draft.entity()
        return await inbound.receive(entity.content_type, entity.body, self.brokers.left.doors)

    async def say(self, verdict: Verdict, *errors: GivenError, **more: str) -> Answer:
        """Say it in a new envelope."""
        return await self.send(self.envelope(self.document(verdict, *errors, **more)))


async def stubborn(brokers: Pair) -> Stubborn:
    """Return the receiver, before left has sent anything."""
    # Any envelope of right's will do: what it holds, its Action, its id and its times are put in anew.
    made = await caught(brokers, brokers.right, dialogue(MSG_ID, sender=DALBYGDA, receiver=FJORDVIK))
    template = made.put("<eb:Action>Notat", "<eb:Action>Apprec").edit(
        "<eb:TimeToLive>[^<]*", "<eb:TimeToLive>2027-01-01T00:00:00Z"
    )
    return Stubborn(brokers=brokers, template=template, raw=dialogue(MSG_ID))


async def feed(side: Side) -> list[str]:
    """Return the kinds of the events in an EPJ's feed."""
    return [stored.event.kind for stored in await _feed(side)]


async def _feed(side: Side) -> Sequence[StoredEvent]:
    return await side.store.feed({side.her}, after=0, limit=1000)


async def asked(side: Side, *paths: str) -> list[bytes]:
    """Return what the API of a side's EPJ answers to GETs, as bytes."""

    class Tokens:
        def by_token(self, token: str) -> Any:
            return side.client

        def by_certificate(self, der: bytes, at: Any) -> Any:
            return None

    answers = []
    async with (
        listening(make_epj_app(side.doors, Tokens(), room=Room()), host="127.0.0.1", port=0, grace=1) as port,
        aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as session,
    ):
        for path in paths:
            async with session.get(f"http://127.0.0.1:{port}{path}") as reply:
                assert reply.status == 200
                answers.append(await reply.read())
    return answers


async def api(side: Side, path: str) -> dict[str, Any]:
    """Return what the API answers to one GET."""
    (answer,) = await asked(side, path)
    return cast(dict[str, Any], json.loads(answer))
