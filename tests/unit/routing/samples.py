"""Keys made once, and values that the tests of this folder share. All persons and numbers are synthetic."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from broker.message import Owed
from broker.retry import ReceiptPolicy
from broker.routing.party import PartyKind
from broker.routing.process import Conversation, Function, Process
from broker.sealing.certificates import Use, new_certificate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FJORDVIK, FJORDVIK_NURSING = 8000101, 8000102
DALBYGDA, DALBYGDA_NURSING, DALBYGDA_NURSE = 8000201, 8000202, 8000203


@cache
def key(number: int = 0) -> rsa.RSAPrivateKey:
    """Return one key a number, made once a run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(
    use: Use, *, number: int = 0, start: int = -30, days: int = 365, organisation: str = "900000202"
) -> Certificate:
    """Return a certificate valid from `start` days after NOW, for `days` days."""
    begin = NOW + timedelta(days=start)
    return new_certificate(
        "Dalbygda kommune", organisation, use, begin, begin + timedelta(days=days), key(number), serial=1000 + number
    )


def pem(certificate: Certificate) -> str:
    """Return the certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


QUESTION = Function(
    name="Spørsmål",
    types=frozenset({"DIALOG_INNBYGGER_EKONTAKT"}),
    sent_by=PartyKind.CITIZEN,
    content=frozenset({"Foresporsel"}),
    codes=frozenset(),
    dialogue="http://www.kith.no/xmlstds/dialog/2013-01-23",
    companions=frozenset(),
    required_companions=frozenset(),
    attachments=frozenset(),
    conversation=Conversation.NONE,
    ack=frozenset({"J", ""}),
    owed=Owed.ALWAYS,
    service="Ekontakt",
    service_type="string",
    action="Foresporsel",
    from_role="Innbygger",
    to_role="Kommune",
    code_systems={},
)
EKONTAKT = Process(
    name="EKONTAKT",
    version="1.0",
    title="eKontakt",
    source="tests",
    functions=(QUESTION,),
    apprec_version="1.1",
    apprec_action="Svarmelding",
    receipt=ReceiptPolicy(),
)
