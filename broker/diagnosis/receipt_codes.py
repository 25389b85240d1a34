"""What the EPJ should do about a negative AppRec, by its code in list 8221. Pure words."""

from collections.abc import Iterable, Mapping
from typing import Final

from broker.message import Code, Text

_MOST: Final = 3  # acts of one receipt: more than so many nobody reads

_PATIENT = Text(
    nb="Kontroller pasientens fødselsnummer eller D-nummer mot Folkeregisteret, og send en ny melding.",
    en="Check the patient's national identity number against the register, and send a new message.",
)
_NAME = Text(
    nb="Fyll ut pasientens navn, og send en ny melding.",
    en="Fill in the patient's name, and send a new message.",
)
_UNKNOWN_PATIENT = Text(
    nb="Mottakeren kjenner ikke pasienten: kontroller at mottakeren er riktig, og ring hvis den er det.",
    en="The receiver does not know the patient: check that it is the right receiver, and call if it is.",
)
_SIGNATURE = Text(
    nb="Be driften her kontrollere signering og sertifikat sammen med mottakeren, og send deretter en ny melding.",
    en="Ask operations here to check signing and certificate together with the receiver, then send a new message.",
)
_FORMAT = Text(
    nb="Meld formatfeilen til leverandøren av fagsystemet; send på nytt når den er rettet, og ring om det haster.",
    en="Report the fault in the format to the EPJ's vendor; send anew when it is mended, and call if it is urgent.",
)
_ASK = Text(
    nb="Ring mottakeren og spør hva som er galt; send en ny melding når det er rettet.",
    en="Call the receiver and ask what is wrong; send a new message when it is put right.",
)

RECEIPT_ACTS: Final[Mapping[str, Text]] = {
    "E10": Text(
        nb="Spør mottakeren om den har meldingen fra før; send den ellers på nytt med en ny MsgId.",
        en="Ask the receiver whether it has the message already; else send it anew under a new MsgId.",
    ),
    "E20": Text(
        nb="Slå opp legen på nytt i adresseregisteret, og send til den som gjelder nå.",
        en="Look the doctor up again in the address registry, and send to the present one.",
    ),
    "E21": Text(
        nb="Slå opp mottakeren på nytt i adresseregisteret, og send til riktig HER-id.",
        en="Look the receiver up again in the address registry, and send to the right HER-id.",
    ),
    "E30": Text(
        nb="Fyll ut pasientens fødselsnummer eller D-nummer, og send en ny melding.",
        en="Fill in the patient's national identity number, and send a new message.",
    ),
    "E31": _PATIENT,
    "E32": _NAME,
    "E33": _NAME,
    "E34": _NAME,
    "E35": _UNKNOWN_PATIENT,
    "E36": Text(
        nb="Fyll ut opplysningene om pasienten, og send en ny melding.",
        en="Complete what is said of the patient, and send a new message.",
    ),
    "E53": _PATIENT,
    "E54": _UNKNOWN_PATIENT,
    "S01": _SIGNATURE,
    "S02": _SIGNATURE,
    "S03": Text(
        nb="Sertifikatet vårt er trukket tilbake: si fra til driften her med en gang. Send på nytt med det nye.",
        en="Our certificate is revoked: tell operations here at once. Send again under the new one.",
    ),
    "S99": _SIGNATURE,
    "T01": _FORMAT,
    "T02": _FORMAT,
    "T10": Text(
        nb="Mottakeren tar ikke imot denne meldingstypen eller versjonen: send på en måte som den støtter.",
        en="The receiver does not take this type or version of message: send in a way that it supports.",
    ),
    "T99": _FORMAT,
    "X99": _ASK,
}


def receipt_act(codes: Iterable[Code]) -> Text | None:
    """Return what to do about these codes, each act once, or None where none of them is in the list."""
    acts = list(dict.fromkeys(RECEIPT_ACTS[code.code] for code in codes if code.code in RECEIPT_ACTS))[:_MOST]
    if not acts:
        return None
    return Text(nb=" ".join(act.nb for act in acts), en=" ".join(act.en for act in acts))
