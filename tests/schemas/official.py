"""The published schemas, for comparison: where they are, and their verdict. They are never part of the project."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import xmlschema
from lxml import etree

from broker.envelope import names
from broker.envelope.xml import Xml

_XS = "http://www.w3.org/2001/XMLSchema"
WHY_SKIPPED = "DIGIHELSE_REFERENCE is not set: the published schemas to compare with are not here"

# What one driver of ours stands for, in the file names of the publishers.
IMPORTS: Mapping[str, Mapping[str, str]] = {
    "msghead.xsd": {
        names.MSGHEAD: "MsgHead-v1_2.xsd",
        names.DIALOG_10: "dialogmelding-v1.0.xsd",
        names.DIALOG_11: "dialogmelding-v1.1.xsd",
        names.BASE64: "kith-base64.xsd",
    },
    "apprec.xsd": {names.APPREC_10: "apprec-v1.0.xsd", names.APPREC_11: "apprec-v1.1.xsd"},
}


def reference() -> Path | None:
    """Return the folder of published material, if there is one on this machine."""
    place = os.environ.get("DIGIHELSE_REFERENCE")
    return Path(place) if place else None


def reference_or_skip() -> Path:
    """Return that folder, or skip the test and say why."""
    place = reference()
    if place is None:
        pytest.skip(WHY_SKIPPED)
    return place


class Official:
    """The published schemas behind one driver: their verdict (lxml), and their declarations (xmlschema)."""

    def __init__(self, folder: Path, driver: str) -> None:
        top = etree.Element(f"{{{_XS}}}schema", nsmap={"xs": _XS})
        for namespace, file in IMPORTS[driver].items():
            location = (folder / "schemas" / "kith" / file).as_uri()
            etree.SubElement(top, f"{{{_XS}}}import", {"namespace": namespace, "schemaLocation": location})
        self._verdict = etree.XMLSchema(top)
        text = etree.tostring(top, encoding="unicode")
        self.declarations = xmlschema.XMLSchema10(text, use_fallback=False)

    def accepts(self, xml: Xml) -> bool:
        """Return the published schemas' verdict."""
        return bool(self._verdict.validate(xml.root))
