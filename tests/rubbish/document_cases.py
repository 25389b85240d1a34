"""Documents that are XML and little else: ten thousand of what there should be one of, judged to the end."""

from collections.abc import Iterator

from tests.judging import sample
from tests.rubbish.case import Case, constant

FAULTY = frozenset({"faults"})
READ: frozenset[str] = frozenset()
MOST_FAULTS = 500  # told of one document; nobody reads more


def cases() -> tuple[Case, ...]:
    """Return them all."""
    return tuple(_documents())


def _many(name: str, before: str, piece: str, count: int = 9_900) -> Case:
    document = sample("ekontakt-sporsmal.xml").decode()
    assert document.count(before), f"{before} does not stand in the sample"
    at = document.index(before)
    return _case(f"{count:,} {name}", (document[:at] + piece * count + document[at:]).encode())


def _case(name: str, data: bytes, refused: frozenset[str] = FAULTY) -> Case:
    return Case(name=name, group="document", reader="document", make=constant(data), refused=refused)


def _documents() -> Iterator[Case]:
    ident = '<Ident><Id>x</Id><TypeId V="HER"/></Ident>'
    yield _many("HER-ids that are none", "<Ident>", ident)
    yield _many("Idents without type", "<Ident>", "<Ident/>")
    organisation = f"<Organisation><OrganisationName>x</OrganisationName>{ident}</Organisation>"
    yield _many("copy receivers", "<Document>", f"<OtherReceiver>{organisation}</OtherReceiver>")
    yield _many("documents", "<Document>", "<Document/>")
    reference = '<Document><RefDoc><MsgType V="XML"/><Content><x xmlns="urn:x"/></Content></RefDoc></Document>'
    yield _many("documents that hold something", "<Document>", reference)
    yield _many("elements of no schema", "<Document>", "<x/>")
    yield _many("HER-ids of 10^5", "<Ident>", ident, 100_000)
    yield _many("heads", "<MsgInfo>", "<MsgInfo/>")
    yield _many("MsgIds", "<MsgId>", "<MsgId/>")
    yield _many("patients", "<Patient>", "<Patient/>")
    yield _many("numbers of patients", "<Document>", '<Ident><Id>1</Id><TypeId V="FNR"/></Ident>')
    apprec = sample("apprec-1.1-ok.xml").decode()
    at = apprec.index("<OriginalMsgId>") if "<OriginalMsgId>" in apprec else apprec.index("</")
    errors = (apprec[:at] + '<Error V="Q"/>' * 9_900 + apprec[at:]).encode()
    yield _case("9,900 errors in a receipt", errors, READ)  # unknown codes only warn
    yield _case("an honest question", sample("ekontakt-sporsmal.xml"), READ)
