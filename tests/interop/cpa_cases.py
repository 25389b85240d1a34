"""Harness: every agreement file of the list is read, and means for us what its row says, or is refused as it says.

    python -m tests.interop.cpa_cases

The generator's flags are crossed in full; the dialects are those that were seen in the field, made by hand of synthetic
parties. Nothing is drawn by chance: there is no seed. Below its floor the run is red. SABOTAGE=last-channel-wins takes
the last of several channels, ours-for-theirs sees the agreement from the wrong side, trust-oid reads the oid of a
signature algorithm before its name: each must be red.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import product
from typing import Any
from unittest import mock

from broker.errors import Misconfigured
from broker.routing import cpa as cpa_module
from broker.routing import cpa_terms
from broker.routing.cpa import Cpa, CpaParty, read_cpa
from broker.routing.cpa_terms import Agreed, agreed
from broker.routing.party import PartyKind
from tests.interop.cpa_files import A, B, Change, but, cpa
from tests.scenario.pair import shipped_processes

FLOOR = 80
NO_RECEIPTS = "no-receipts"  # the generator's agreement has no Action for them


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One file, and what must come of it: values and remarks, or words of the refusal."""

    name: str
    content: bytes
    values: dict[str, Any] = field(default_factory=dict)  # of the agreement, and endpoint
    remarks: frozenset[str] = frozenset({NO_RECEIPTS})
    refused: str = ""


def _generated() -> Iterator[Case]:
    ciphers = ("aes128-cbc", "aes256-cbc", "tripledes-cbc")
    for sync, unsigned, encrypted, best in product((False, True), repeat=4):
        for cipher in ciphers if encrypted and not best else ("aes256-cbc",):
            flags = [
                *(["--sync"] if sync else []),
                *(["--unsigned"] if unsigned else []),
                *(["--encrypted"] if encrypted else []),
                *(["--best-effort"] if best else []),
                *["--cipher", cipher],
            ]
            yield Case(
                name="generator " + " ".join(flags),
                content=cpa(*flags),
                values={
                    "sync": sync,
                    "signed": not unsigned,
                    "encrypted": not unsigned,
                    "ack_requested": not best,
                    "ack_signed": not best and not unsigned,
                    "retries": 0 if best else 3,
                    "persist_duration": timedelta(days=2) if best else timedelta(minutes=10),
                },
                remarks=frozenset({NO_RECEIPTS, *(["unsigned"] if unsigned else []), *(["silent"] if best else [])}),
                # With --best-effort the generator leaves the digital envelope out, and asks for it all the same.
                refused="XML Encryption" if encrypted and not best else "",
            )
    for more, values in (
        (("--retries", "0"), {"retries": 0}),
        (("--retries", "7", "--interval", "PT30S"), {"retries": 7, "retry_interval": timedelta(seconds=30)}),
        (("--persist", "P4D", "--interval", "PT720M"), {"persist_duration": timedelta(days=4)}),
        (("--cpaid", "nav:qass:35065"), {"cpa_id": "nav:qass:35065"}),
        (("--b-url", "https://ebms.example/in"), {"endpoint": "https://ebms.example/in"}),
        (("--end", "2030-06-01T00:00:00.2494796+02:00"), {}),
        (("--start", "2026-01-01T00:00:00"), {}),
    ):
        yield Case(name=f"generator {' '.join(more)}", content=cpa(*more), values=values)
    for other, why in (
        (("--party-type", "orgnummer"), "exactly one PartyId of type HER"),
        (("--persist", "P1M"), "no duration of days"),
        (("--interval", "PT20M"), "RetryInterval that is not shorter than PersistDuration"),
        (("--start", "2036-01-01T00:00:00Z"), "lies before Start"),
        (("--a-id", "1", "--b-id", "2"), "is hosted here"),
        (("--a-id", "79768"), "PartyId of the other party"),
        (("--retries", "99999"), "no whole number"),
    ):
        yield Case(name=f"generator {' '.join(other)}", content=cpa(*other), refused=why)


# A second channel of the engine, by mail, named first by every action; and a third that is like the first.
_MAIL = (
    '<c:DeliveryChannel c:channelId="B_Mail" c:transportId="B_Smtp" c:docExchangeId="B_DocRm">'
    '<c:MessagingCharacteristics c:syncReplyMode="none"/></c:DeliveryChannel>'
    '<c:Transport c:transportId="B_Smtp"><c:TransportReceiver><c:TransportProtocol c:version="1.1">SMTP'
    '</c:TransportProtocol><c:Endpoint c:uri="mailto:ebms@example.invalid"/></c:TransportReceiver></c:Transport>'
)
_OTHER = (
    '<c:DeliveryChannel c:channelId="B_Other" c:transportId="B_Elsewhere" c:docExchangeId="B_DocRm">'
    '<c:MessagingCharacteristics c:syncReplyMode="none" c:ackRequested="always" c:ackSignatureRequested="always" '
    'c:duplicateElimination="always"/></c:DeliveryChannel>'
    '<c:Transport c:transportId="B_Elsewhere"><c:TransportReceiver>'
    '<c:TransportProtocol c:version="1.1">HTTP</c:TransportProtocol><c:Endpoint c:uri="https://elsewhere.example/"/>'
    "</c:TransportReceiver></c:Transport>"
)
_FIRST_OF_B = '<c:DeliveryChannel c:channelId="B_Msh"'
_RM = "<c:ChannelId>B_Rm</c:ChannelId>"
_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_DIGEST = "http://www.w3.org/2001/04/xmlenc#sha256"
_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"


def _dialect(name: str, change: Change, *remarks: str, flags: Sequence[str] = (), **values: Any) -> Case:
    # A case with receipts has an Action for them: then nothing is said of their lack.
    said = frozenset(remarks) if values.pop("receipts", False) else frozenset({NO_RECEIPTS, *remarks})
    return Case(name=name, content=change(cpa(*flags)), values=values, remarks=said)


def _refusal(name: str, change: Change, why: str, *, flags: Sequence[str] = ()) -> Case:
    return Case(name=name, content=change(cpa(*flags)), refused=why)


def _dialects() -> Iterator[Case]:
    here = "http://127.0.0.1:8888/ebms"
    yield _dialect("a byte order mark", lambda data: b"\xef\xbb\xbf" + data)
    yield _dialect("status proposed", but(('c:value="agreed"', 'c:value="proposed"')), "status")
    yield _dialect("version 1.0", but(('c:version="2_0b"', 'c:version="1.0"')))
    yield _dialect("a version that nobody knows", but(('c:version="2_0b"', 'c:version="9"')), "version")
    yield _dialect("no actor", but((' c:actor="urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"', "")), "actor")
    yield _dialect("attributes without prefix", but((" c:", " ")))
    mail_first = but((_FIRST_OF_B, _MAIL + _FIRST_OF_B), (_RM, "<c:ChannelId>B_Mail</c:ChannelId>" + _RM))
    yield _dialect("mail first, then HTTP", mail_first, "channel", endpoint=here)
    mail_last = but((_FIRST_OF_B, _MAIL + _FIRST_OF_B), (_RM, _RM + "<c:ChannelId>B_Mail</c:ChannelId>"))
    yield _dialect("HTTP first, then mail", mail_last, "channel", endpoint=here)
    two = but((_FIRST_OF_B, _OTHER + _FIRST_OF_B), (_RM, _RM + "<c:ChannelId>B_Other</c:ChannelId>"))
    yield _dialect("two channels over HTTP", two, endpoint=here)
    yield _dialect(
        "a mailto endpoint beside the real one",
        but(
            (f'<c:Endpoint c:uri="{here}"', f'<c:Endpoint c:uri="mailto:x@example.invalid"/><c:Endpoint c:uri="{here}"')
        ),
        endpoint=here,
    )
    yield _dialect(
        "attributes that nobody knows",
        but(
            ("<c:Certificate c:certId", '<c:Certificate c:lastUsed="x" c:certId'),
            ("c:packageId=", 'x:type="simple" c:packageId='),
        ),
        "unknown",
    )
    yield _dialect("an element that nobody knows", but(("<c:PartyRef", "<c:Herd/><c:PartyRef")), "unknown")
    yield _dialect("ids that are no NCName", but(("B_Cert", "4 b/c:d"), ("B_Rm", "1:2:3")))
    yield _dialect("the same ids in both parties", but(("B_", "X_"), ("A_", "X_")))
    yield _dialect("a certificate that stands twice", _twice("Certificate"))
    yield _dialect("a DocExchange that stands twice", _twice("DocExchange"))
    oid = but(
        (
            f"<c:SignatureAlgorithm>{_SHA256}",
            f'<c:SignatureAlgorithm c:oid="1.2.840.113549.1.1.5" c:w3c="{_SHA256}">RSA-SHA1',
        )
    )
    yield _dialect("the oid of SHA-1 beside the name of SHA-256", oid)
    sha1 = but((f"<c:SignatureAlgorithm>{_SHA256}", f'<c:SignatureAlgorithm c:w3c="{_SHA1}">RSA-SHA256'))
    yield _dialect("the name of SHA-1 beside the text of SHA-256", sha1, "algorithm")
    yield _dialect("SHA-1 as text alone", but((_SHA256, _SHA1)), "algorithm")
    yield _dialect("names of algorithms that are no URI", but((_SHA256, "RSA-SHA256"), (_DIGEST, "SHA-256")))
    yield _dialect("an algorithm of theirs that nobody knows", _theirs(_SHA256, "urn:own"), "algorithm")
    yield _refusal("an algorithm of ours that nobody knows", but((_SHA256, "urn:own")), "does not write")
    yield _refusal("an algorithm of ours that we only read", but(("rsa-sha256", "rsa-sha512")), "does not write")
    nested = but(
        ("</c:OtherPartyActionBinding></c:CanSend>", "</c:OtherPartyActionBinding><c:CanReceive/></c:CanSend>")
    )
    yield _refusal("an answer in the same exchange", nested, "in the same HTTP exchange")
    per_message = but(
        ('c:ackRequested="always"', ""),
        ('c:ackSignatureRequested="always"', ""),
        ('c:duplicateElimination="always"', ""),
    )
    yield _dialect("all left to each message", per_message, "per-message", ack_requested=True, ack_signed=True)
    yield _dialect(
        "another kind of party id beside",
        but(
            (
                '<c:PartyId c:type="HER">79768',
                '<c:PartyId c:type="orgnummer">900000202</c:PartyId><c:PartyId c:type="HER">79768',
            )
        ),
    )
    yield _dialect("the payload's certificate by ApplicationCertificateRef", _application_certificate)
    yield _dialect("receipts have an Action", receipts("Apprec"), receipts=True)
    yield _dialect("receipts have an Action in capitals", receipts("APPREC"), receipts=True)
    yield _dialect("an Action that no process has", but(('c:action="Svar"', 'c:action="Inkassokrav"')), "no-process")
    yield _dialect("retries differ where it is taken", _theirs("<c:Retries>3", "<c:Retries>9"), "differs", retries=3)
    yield _dialect(
        "no certificate references of the other",
        but(("<c:OtherPartyActionBinding>A_R</c:OtherPartyActionBinding>", "")),
    )
    yield _dialect("certificates over many lines", _wrapped)

    yield _refusal(
        "only mail",
        but(('<c:Endpoint c:uri="http://127.0.0.1:8888/ebms"', '<c:Endpoint c:uri="mailto:x@example.invalid"')),
        "no channel over HTTP",
    )
    yield _refusal("a query channel over AMQP", but((">HTTP<", ">AMQP<")), "no channel over HTTP")
    for mode in ("signalsOnly", "responseOnly", "signalsAndResponse"):
        yield _refusal(f"syncReplyMode {mode}", but(('c:syncReplyMode="none"', f'c:syncReplyMode="{mode}"')), mode)
    yield _refusal(
        "sync one way", _theirs('c:syncReplyMode="none"', 'c:syncReplyMode="mshSignalsOnly"'), "syncReplyMode for one"
    )
    yield _refusal(
        "signed one way",
        _theirs('isNonRepudiationRequired="true"', 'isNonRepudiationRequired="false"'),
        "isNonRepudiationRequired",
    )
    yield _refusal(
        "acknowledged one way", _theirs('c:ackRequested="always"', 'c:ackRequested="never"'), "ackRequested always"
    )
    yield _refusal(
        "acknowledged, and copies not told apart",
        but(('c:duplicateElimination="always"', 'c:duplicateElimination="never"')),
        "duplicateElimination",
    )
    yield _refusal("in order", but((">NotGuaranteed<", ">Guaranteed<")), "messages in order")
    yield _refusal(
        "signed acknowledgments of unsigned messages",
        but(('c:ackSignatureRequested="never"', 'c:ackSignatureRequested="always"')),
        "signed acknowledgments",
        flags=["--unsigned"],
    )
    yield _refusal("no ReliableMessaging", _without_reliability, "no ReliableMessaging")
    yield _refusal("a channel that is not there", but((_RM, "<c:ChannelId>B_None</c:ChannelId>")), "names a channel")
    yield _refusal(
        "a transport that is not there",
        but(('c:transportId="B_Http" c:doc', 'c:transportId="B_None" c:doc')),
        "names a transport",
    )
    yield _refusal(
        "an exchange that is not there",
        but(('<c:DocExchange c:docExchangeId="B_DocRm"', '<c:DocExchange c:docExchangeId="B_None"')),
        "DocExchange that",
    )
    yield _refusal(
        "a certificate that is not there",
        but(('<c:SigningCertificateRef c:certId="B_Cert"', '<c:SigningCertificateRef c:certId="B_None"')),
        "names a certificate",
    )
    yield _refusal(
        "a default channel that is not there",
        but(('defaultMshChannelId="B_Msh"', 'defaultMshChannelId="B_None"')),
        "names a channel",
    )
    yield _refusal(
        "an action of the other that is not there",
        but(("<c:OtherPartyActionBinding>A_R<", "<c:OtherPartyActionBinding>A_None<")),
        "no action of the other party",
    )
    yield _refusal(
        "two things under one id",
        but(('<c:DocExchange c:docExchangeId="B_DocMsh"', '<c:DocExchange c:docExchangeId="B_DocRm"')),
        "says otherwise",
    )
    yield _refusal("one party", _one_party, "1 PartyInfo")
    yield _refusal("three parties", _third_party, "3 PartyInfo")
    yield _refusal(
        "a broken certificate", but(("<d:X509Certificate>MII", "<d:X509Certificate>AAA")), "no readable certificate"
    )
    yield _refusal("no certificate in it", but(("d:X509Certificate", "d:X509CRL")), "X509Certificate")
    yield _refusal("no CPAId", but((' c:cpaid="interop:1"', "")), "no cpaid")
    yield _refusal("no End", but(("<c:End>2035-01-01T00:00:00Z</c:End>", "")), "no End")
    yield _refusal("an End that is no time", but((">2035-01-01T00:00:00Z<", ">2035-13-01T00:00:00Z<")), "is no time")
    yield _refusal(
        "two HER-ids",
        but(('<c:PartyId c:type="HER">79768', '<c:PartyId c:type="HER">1</c:PartyId><c:PartyId c:type="HER">79768')),
        "exactly one PartyId",
    )
    yield _refusal(
        "a syncReplyMode of their own", but(('c:syncReplyMode="none"', 'c:syncReplyMode="perhaps"')), "does not know"
    )
    yield _refusal(
        "a flag that is neither",
        but(('isNonRepudiationRequired="true"', 'isNonRepudiationRequired="maybe"')),
        "neither true nor false",
    )
    yield _refusal("another Service", but((">Interop<", ">Fremmed<")), "no process here")
    yield _refusal(
        "the profile of one party", but(("CollaborationProtocolAgreement", "CollaborationProtocolProfile")), "CPP"
    )


def _twice(element: str) -> Change:
    def change(data: bytes) -> bytes:
        text = data.decode()
        start = text.rindex(f"<c:{element} ")
        end = text.index(f"</c:{element}>", start) + len(f"</c:{element}>")
        return (text[:end] + text[start:end] + text[end:]).encode()

    return change


def receipts(action: str) -> Change:
    """Add an Action for receipts that both send and take."""

    def change(data: bytes) -> bytes:
        text = data.decode()
        for side, other in (("A", "B"), ("B", "A")):
            for direction, mine, theirs in (("CanSend", "S", "R"), ("CanReceive", "R", "S")):
                start = text.index(f'<c:{direction}><c:ThisPartyActionBinding c:id="{side}_{mine}"')
                end = text.index(f"</c:{direction}>", start) + len(f"</c:{direction}>")
                binding = text[start:end]
                name = binding.split('c:action="')[1].split('"')[0]
                receipt = binding.replace(f'c:action="{name}"', f'c:action="{action}"')
                receipt = receipt.replace(f'{side}_{mine}"', f'{side}_{mine}2"').replace(
                    f">{other}_{theirs}<", f">{other}_{theirs}2<"
                )
                text = text[:end] + receipt + text[end:]
        return text.encode()

    return change


def _theirs(old: str, new: str) -> Change:
    """Change it in the engine's PartyInfo alone."""

    def change(data: bytes) -> bytes:
        text = data.decode()
        start = text.index('<c:PartyInfo c:partyName="Party B"')
        assert old in text[start:]
        return (text[:start] + text[start:].replace(old, new)).encode()

    return change


def _application_certificate(data: bytes) -> bytes:
    return but(('interop#Register"/>', 'interop#Register"/><c:ApplicationCertificateRef c:certId="B_Cert"/>'))(data)


def _without_reliability(data: bytes) -> bytes:
    text = data.decode()
    while (start := text.find("<c:ReliableMessaging>")) >= 0:
        text = text[:start] + text[text.index("</c:ReliableMessaging>", start) + len("</c:ReliableMessaging>") :]
    return text.encode()


def _one_party(data: bytes) -> bytes:
    text = data.decode()
    return (
        text[: text.rindex("<c:PartyInfo ")] + text[text.rindex("</c:PartyInfo>") + len("</c:PartyInfo>") :]
    ).encode()


def _third_party(data: bytes) -> bytes:
    text = data.decode()
    start, end = text.rindex("<c:PartyInfo "), text.rindex("</c:PartyInfo>") + len("</c:PartyInfo>")
    return (text[:end] + text[start:end] + text[end:]).encode()


def _wrapped(data: bytes) -> bytes:
    text = data.decode()
    start = text.index("<d:X509Certificate>") + len("<d:X509Certificate>")
    return (text[:start] + "\n  " + text[start : start + 64] + "&#13;\n" + text[start + 64 :]).encode()


@cache
def cases() -> tuple[Case, ...]:
    """Return all of them."""
    return (*_generated(), *_dialects())


def meaning(content: bytes) -> Agreed:
    """Return what a file means for us, who are A. Raises Misconfigured."""
    return agreed(
        read_cpa(content, source="test.xml"),
        hosted={A},
        processes=shipped_processes(),
        kind_of=lambda _: PartyKind.EPJ,
        services={"DIALOG": "Interop"},
    )


def faults_of(case: Case) -> list[str]:
    """Return in what the meaning of a file is not as its row says."""
    try:
        found = meaning(case.content)
    except Misconfigured as why:
        if not case.refused or case.refused not in why.why:
            return [f"refused: {why.why}"]
        return [] if why.hint and "test.xml" in why.where else ["the refusal does not say what to do, or where"]
    if case.refused:
        return ["taken"]
    faults = []
    if (found.agreement.ours, found.agreement.theirs) != (A, B):
        faults.append("seen from the wrong side")
    for key, value in case.values.items():
        said = found.endpoint if key == "endpoint" else getattr(found.agreement, key)
        if said != value:
            faults.append(f"{key} is {said}, not {value}")
    told = {remark.slug for remark in found.remarks}
    if told != case.remarks:
        faults.append(f"remarks are {sorted(told)}, not {sorted(case.remarks)}")
    return faults


def planted(sabotage: str) -> AbstractContextManager[object]:
    """Return the place where that fault is planted; "" plants none."""
    if not sabotage:
        return nullcontext()
    true = cpa_module.usable_channels

    def last(party: CpaParty, names: Sequence[str]) -> Any:
        return true(party, names)[::-1]

    def other_side(cpa: Cpa, party: CpaParty) -> int:
        return B if ("HER", str(A)) in {(one.type, one.value) for one in party.ids} else A

    def oid_first(node: Any) -> str:
        named: str = node.get("w3c") or node.text()
        return _SHA1 if node.get("oid") == "1.2.840.113549.1.1.5" else named

    places: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "last-channel-wins": lambda: mock.patch.object(cpa_terms, "usable_channels", last),
        "ours-for-theirs": lambda: mock.patch.object(cpa_terms, "her_of", other_side),
        "trust-oid": lambda: mock.patch.object(cpa_module, "_algorithm", oid_first),
    }
    return places[sabotage]()


def run(sabotage: str = "") -> bool:
    """Read every file, with this fault planted or none, and print what is wrong. Returns whether all was right."""
    every, red = cases(), 0
    with planted(sabotage):
        for case in every:
            for fault in faults_of(case):
                print(f"WRONG  {case.name}: {fault}")
                red += 1
    taken = sum(not case.refused for case in every)
    print(f"{len(every)} agreement files read: {taken} kept, {len(every) - taken} refused, {red} wrong; no seed")
    if len(every) < FLOOR:
        print(f"WRONG: the floor is {FLOOR} files")
        red += 1
    print("red" if red else "green")
    return not red


if __name__ == "__main__":
    sys.exit(0 if run(os.environ.get("SABOTAGE", "")) else 1)
