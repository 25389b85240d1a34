"""What a party profile changes on the wire: exactly what it says, and nothing that the other side would not read.

Two real brokers talk twice, once under the defaults and once under the profile; what each says is taken apart into
facts (headers of the MIME parts; elements and attributes of the envelope but for its signature), and compared.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree

from broker import inbound
from broker.envelope import mime
from broker.envelope.ebms import MSH_SERVICE, Envelope, Header, Kind, her_party
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse_header
from broker.envelope.names import DS, EB, SOAP
from broker.envelope.xml import parse
from broker.errors import Inconsistent
from broker.lifecycle import Transport
from broker.lookup.profile_files import shipped_profiles
from broker.ports import TransportReply
from broker.receipts.message_error import build_message_error
from broker.routing.party import Terms
from broker.routing.profile import DEFAULT, Profile
from tests.scenario.pair import DALBYGDA, FJORDVIK, START, Pair, Side, dialogue, pair, shipped_processes

Facts = dict[str, str]
Saying = tuple[str, bytes]  # Content-Type and body, as they stood on the wire

TO_PARTY: Final = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"
JSON: Final = '{"MSH-system": "DigiHelse", "MSH-versjon": "test"}'
KINDS: Final = ("message", "acknowledgment", "error", "pong")
SIGNALS: Final = KINDS[1:]


def _everywhere(kinds: tuple[str, ...], facts: Mapping[str, tuple[str | None, str | None]]) -> dict[str, Any]:
    return dict.fromkeys(kinds, facts)


# Key: another value, and what then differs: saying -> fact -> (under the defaults, under the key).
KEYS: Final[Mapping[str, tuple[Any, Mapping[str, Any]]]] = {
    "ref_in_acknowledgment": (
        False,
        {"acknowledgment": {"Header/MessageHeader/MessageData/RefToMessageId": ("the message's id", None)}},
    ),
    "actor": (
        False,
        {
            "message": {"Header/AckRequested/@actor": (TO_PARTY, None)},
            "acknowledgment": {"Header/Acknowledgment/@actor": (TO_PARTY, None)},
        },
    ),
    "signal_service_type": ("string", _everywhere(SIGNALS, {"Header/MessageHeader/Service/@type": (None, "string")})),
    "roles_on_signals": (
        True,
        # A Ping has no Roles, and so its Pong has none to swap.
        _everywhere(
            ("acknowledgment", "error"),
            {
                "Header/MessageHeader/From/Role": (None, "Leser"),
                "Header/MessageHeader/To/Role": (None, "Avsender"),
            },
        ),
    ),
    "root_encoding": ("base64", {"message": {"part 0: content-transfer-encoding": ("8bit", "base64")}}),
    "payload_encoding": ("binary", {"message": {"part 1: content-transfer-encoding": ("base64", "binary")}}),
    "describe_msh": (
        False,
        _everywhere(
            KINDS,
            {
                "Header/MessageHeader/Description": (JSON, None),
                "Header/MessageHeader/Description/@lang": ("NO", None),
            },
        ),
    ),
    "unsigned_errors": (False, {}),  # what we take, below
}


def use(side: Side, profile: Profile) -> None:
    """Let the parties that this side talks to have the profile, by their organisation's record."""
    parties = dict(side.addresses.directory.parties)
    for her, party in parties.items():
        if party.parent is None:
            parties[her] = replace(party, profile=profile)
            continue
        ours, theirs = ("Leser", "Avsender") if her == FJORDVIK else ("Avsender", "Leser")
        terms = {name: Terms(our_role=ours, their_role=theirs) for name in shipped_processes().by_name}
        agreements = tuple(replace(agreement, processes=terms) for agreement in party.agreements)
        parties[her] = replace(party, agreements=agreements)
    side.addresses.directory = replace(side.addresses.directory, parties=parties)


def ping() -> bytes:
    header = Header(
        from_=her_party(FJORDVIK),
        to=her_party(DALBYGDA),
        cpa_id="cpa-1",
        conversation_id="c-1",
        service=MSH_SERVICE,
        action=Kind.PING,
        message_id="ping-1@test",
        timestamp=START,
    )
    return build(Envelope(header=header))


async def sayings(brokers: Pair, profile: Profile) -> dict[str, Saying]:
    """Return a message of the left side, and what the right side answers to it, late, and to a Ping."""
    use(brokers.left, profile)
    use(brokers.right, profile)
    answers: list[TransportReply] = []

    def seen(reply: TransportReply) -> TransportReply:
        answers.append(reply)
        return reply

    brokers.wire.plan = ["catch", seen]
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000001"))
    await brokers.run()
    await brokers.pass_time(timedelta(minutes=5))
    # Said this way it is still understood: here by our own reader, at both ends.
    assert (await brokers.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED
    message, acknowledgment = brokers.wire.caught[0], answers[0]
    pong = await inbound.receive("text/xml", ping(), brokers.right.doors)
    brokers.clock.time += timedelta(days=3)
    error = await inbound.receive(message.content_type, message.body, brokers.right.doors)
    return {
        "message": (message.content_type, message.body),
        "acknowledgment": (acknowledgment.content_type, acknowledgment.body),
        "error": (error.content_type, error.body),
        "pong": (pong.content_type, pong.body),
    }


def facts(saying: Saying) -> Facts:
    content_type, body = saying
    entity = mime.read(content_type, body)
    found: Facts = {}
    for number, part in enumerate((entity.root, *entity.parts)):
        found[f"part {number}: content-type"] = part.content_type
        found[f"part {number}: content-transfer-encoding"] = part.transfer_encoding
    _walk(parse(entity.root.body, max_bytes=1_000_000).root, "", found)
    return found


def _walk(element: etree._Element, path: str, found: Facts) -> None:
    for child in element:
        name = etree.QName(child)
        if name.namespace == DS:
            continue  # signatures and digests differ with every run
        at = f"{path}{name.localname}"
        found[at] = (child.text or "").strip()
        for key, value in child.attrib.items():
            found[f"{at}/@{etree.QName(key).localname}"] = str(value)
        _walk(child, f"{at}/", found)


def difference(before: Facts, after: Facts) -> dict[str, tuple[str | None, str | None]]:
    # Ids are drawn in the order of their use: the same under each profile.
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return {key: (before.get(key), after.get(key)) for key in changed}


def expected(profile: Profile, kind: str, before: Facts) -> dict[str, tuple[str | None, str | None]]:
    told: dict[str, tuple[str | None, str | None]] = {}
    for key, (other, differences) in KEYS.items():
        if getattr(profile, key) != getattr(DEFAULT, key):
            assert getattr(profile, key) == other, f"the table has another value for {key}"
            told |= differences.get(kind, {})
    reference = "Header/MessageHeader/MessageData/RefToMessageId"
    return {key: (before[key], None) if key == reference else values for key, values in told.items()}


PROFILES: Final = [
    *(replace(DEFAULT, name=key, **{key: other}) for key, (other, _) in KEYS.items()),
    *shipped_profiles().values(),
]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
async def test_what_is_said_differs_exactly_where_the_profile_says(profile: Profile, tmp_path: Path) -> None:
    async with pair(tmp_path / "default") as brokers:
        usual = {kind: facts(saying) for kind, saying in (await sayings(brokers, DEFAULT)).items()}
    async with pair(tmp_path / "profile") as brokers:
        said = await sayings(brokers, profile)
    for kind in KINDS:
        assert difference(usual[kind], facts(said[kind])) == expected(profile, kind, usual[kind]), kind
    official = schema()
    if official is not None:
        for kind, (content_type, body) in said.items():
            root = parse(mime.read(content_type, body).root.body, max_bytes=1_000_000).root
            assert official.validate(root), f"{kind}: {official.error_log}"


def schema() -> etree.XMLSchema | None:
    """Return the official schema of the envelope, where it is at hand."""
    place = os.environ.get("DIGIHELSE_REFERENCE")
    if place is None:
        return None
    folder = Path(place) / "schemas" / "ebxml"
    wrapper = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<xs:import namespace="{SOAP}" schemaLocation="{(folder / "envelope.xsd").as_uri()}"/>'
        f'<xs:import namespace="{EB}" schemaLocation="{(folder / "msg-header-2_0.xsd").as_uri()}"/>'
        "</xs:schema>"
    )
    return etree.XMLSchema(etree.fromstring(wrapper))  # noqa: TID251 - a schema, not a message


def test_the_table_here_has_every_key() -> None:
    names = set(Profile.__dataclass_fields__) - {"name", "title"}
    assert set(KEYS) == names


# --- what is taken: an unsigned MessageError ---


def unsigned_error(reply: TransportReply) -> TransportReply:
    """Put a MessageError without a signature in the place of the answer, as ebms-core does."""
    acknowledgment = parse(mime.read(reply.content_type, reply.body).root.body, max_bytes=1_000_000)
    header = parse_header(acknowledgment)
    about = replace(
        header, from_=header.to, to=header.from_, message_id=header.ref_to_message_id or "", ref_to_message_id=None
    )
    error = build_message_error(
        about, Inconsistent("Wrong value.", location="//Header/SyncReply"), message_id="e-1", timestamp=header.timestamp
    )
    return TransportReply(status=200, content_type="text/xml", body=build(error))


@pytest.mark.parametrize(
    ("endpoint", "profile", "transport"),
    [
        ("https://dalbygda.test/ebms", DEFAULT, Transport.REFUSED),
        ("https://dalbygda.test/ebms", replace(DEFAULT, unsigned_errors=False), Transport.SENT),
        ("https://dalbygda.test/ebms", shipped_profiles()["nhn"], Transport.SENT),
        ("https://dalbygda.test/ebms", shipped_profiles()["ebms-core"], Transport.REFUSED),
        (f"http://127.0.0.1/{DALBYGDA}", DEFAULT, Transport.SENT),  # a channel that proves nothing
    ],
)
async def test_an_unsigned_error_counts_by_profile_and_over_tls_alone(
    endpoint: str, profile: Profile, transport: Transport, tmp_path: Path
) -> None:
    async with pair(tmp_path) as brokers:
        brokers.wire.sides[endpoint] = brokers.right
        parties = brokers.left.addresses.directory.parties
        organisation = replace(parties[DALBYGDA // 100 * 100], endpoint=endpoint, profile=profile)
        brokers.left.addresses.directory = replace(
            brokers.left.addresses.directory, parties={**parties, organisation.her_id: organisation}
        )
        brokers.wire.plan = [unsigned_error]
        taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000001"))
        await brokers.run()
        assert (await brokers.left.delivery(taken)).state.transport is transport
