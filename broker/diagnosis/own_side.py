"""The words for what stands still in our own house, and for alarms that belong to no message (MB-35xx to MB-6xxx)."""

from typing import Final

from broker.diagnosis.causes import (
    BODY_DAMAGED,
    BODY_ERASED,
    CANCELLATION_NOT_COLLECTED,
    CLOCK_OFF,
    DISK_FULL,
    DISK_LOW,
    EPJ_NOT_COLLECTING,
    EPJ_NOT_CONFIRMING,
    EPJ_NOT_JUDGING,
    OWN_EXPIRES_SOON,
    PARTNER_SILENT,
    SENDER_HELD,
    STORE_LOCKED,
    cause,
)
from broker.message import Ball

INWARDS: Final = (
    cause(
        SENDER_HELD,
        "sender-held",
        Ball.PERSON,
        "for mange krypterte meldinger fra avsenderen lot seg ikke åpne; den holdes igjen i en time",
        "too many ciphertexts from the sender did not open; it is held for an hour",
        act=(
            "Ring avsenderens drift: feil krypteringssertifikat hos dem, eller noen misbruker nøkkelen deres.",
            "Call the sender's operations: a wrong encryption certificate there, or someone misuses their key.",
        ),
    ),
    cause(
        PARTNER_SILENT,
        "partner-silent",
        Ball.PERSON,
        "en motpart som pleier å sende, har vært stille uvanlig lenge",
        "a partner that usually sends has been silent unusually long",
        act=(
            "Ring motpartens drift og spør om meldingstjeneren deres sender; kontroller også døren inn hit.",
            "Call the partner's operations and ask whether their message service sends; check the door in here, too.",
        ),
    ),
)

EPJ: Final = (
    cause(
        EPJ_NOT_COLLECTING,
        "epj-not-collecting",
        Ball.EPJ,
        "fagsystemet har ikke hentet meldingen",
        "the EPJ has not collected the message",
        act=("Kontroller at fagsystemet er oppe og spør innboksen.", "Check that the EPJ is up and polls its inbox."),
    ),
    cause(
        CANCELLATION_NOT_COLLECTED,
        "cancellation-not-collected",
        Ball.EPJ,
        "en avbestilling er ikke hentet av fagsystemet på 15 minutter",
        "a cancellation has not been collected by the EPJ for 15 minutes",
        act=(
            "Si fra til enheten på telefon nå: noen kan komme til å kjøre forgjeves. Få deretter fagsystemet i gang.",
            "Tell the unit by telephone now: someone may drive there in vain. Then get the EPJ going.",
        ),
    ),
    cause(
        EPJ_NOT_JUDGING,
        "epj-not-judging",
        Ball.EPJ,
        "fagsystemet har lagret meldingen, men ikke kvittert for den",
        "the EPJ has stored the message but given no receipt for it",
        act=(
            "Kontroller at fagsystemet kvitterer; avsenderen purrer, og regner meldingen til slutt som ikke levert.",
            "Check that the EPJ gives its receipts; the sender asks again, and in the end takes it for not delivered.",
        ),
    ),
    cause(
        EPJ_NOT_CONFIRMING,
        "epj-not-confirming",
        Ball.EPJ,
        "fagsystemet har ikke bekreftet utfallet",
        "the EPJ has not confirmed the outcome",
        act=(
            "Kontroller at fagsystemet leser hendelsene og bekrefter dem.",
            "Check that the EPJ reads its events and confirms them.",
        ),
    ),
)

HOUSE: Final = (
    cause(
        BODY_DAMAGED,
        "body-damaged",
        Ball.PERSON,
        "den lagrede meldingen er skadet og blir ikke sendt",
        "the stored message is damaged and is not sent",
        act=(
            "Hent den fra sikkerhetskopi, eller la fagsystemet sende den på nytt; undersøk disken.",
            "Restore it from backup, or let the EPJ send it anew; examine the disk.",
        ),
    ),
    cause(
        BODY_ERASED,
        "body-erased",
        Ball.PERSON,
        "den lagrede meldingen er slettet etter oppbevaringstiden",
        "the stored message was erased when its time was over",
        act=(
            "Motparten ber om en kvittering som er slettet her; ring dem, og lukk deretter.",
            "The partner asks for a receipt that is erased here; call them, then close it.",
        ),
    ),
    cause(
        DISK_FULL,
        "disk-full",
        Ball.PERSON,
        "disken til lageret er full; ingenting nytt tas imot",
        "the disk of the store is full; nothing new is taken",
        act=(
            "Gi plass på disken; megleren går videre av seg selv, og ingenting er tapt.",
            "Make room on the disk; the broker goes on by itself, and nothing is lost.",
        ),
    ),
    cause(
        STORE_LOCKED,
        "store-locked",
        Ball.PERSON,
        "et annet program holder databasen låst",
        "another program holds the database locked",
        act=(
            "Avslutt programmet som har databasefilen åpen; megleren går videre av seg selv.",
            "End the program that has the database file open; the broker goes on by itself.",
        ),
    ),
    cause(
        DISK_LOW,
        "disk-low",
        Ball.PERSON,
        "det er lite plass igjen på disken til lageret",
        "there is little room left on the disk of the store",
        act=(
            "Gi plass før den er full: da tas det ikke imot noe nytt.",
            "Make room before it is full: then nothing new is taken.",
        ),
    ),
    cause(
        CLOCK_OFF,
        "clock-off",
        Ball.PERSON,
        "klokken her går annerledes enn motpartenes",
        "the clock here goes otherwise than the partners' clocks",
        act=(
            "Kontroller tidstjenesten (NTP) her: en feil klokke gjør sertifikater og frister ugyldige.",
            "Check the time service (NTP) here: a wrong clock makes certificates and time limits invalid.",
        ),
    ),
    cause(
        OWN_EXPIRES_SOON,
        "own-certificate-expires-soon",
        Ball.PERSON,
        "vårt eget sertifikat utløper snart",
        "our own certificate expires soon",
        act=(
            "Bestill nytt virksomhetssertifikat, og legg det inn ved siden av det gamle.",
            "Order a new enterprise certificate, and put it in beside the old one.",
        ),
    ),
)
