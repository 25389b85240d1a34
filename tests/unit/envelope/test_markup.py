"""What we write as text is what lxml writes of the same values, and it is refused where lxml refuses."""

import pytest
from lxml import etree

from broker.envelope.markup import attribute, text

# Every character of which some writer or reader makes something else, and their neighbours.
CHARACTERS = "\t\n\r !\"#%&'();<=>?]\x7f\x85\xa0æ\u2028\ud7ff\ue000\ufffd\U00010000\U0010ffff"
NO_CHARACTERS = "\x00\x01\x08\x0b\x0c\x0e\x1f\ud800\udfff\ufffe\uffff"


@pytest.mark.parametrize("value", [*CHARACTERS, CHARACTERS, "]]>", "&amp;", ""])
def test_a_value_stands_as_lxml_writes_it(value: str) -> None:
    element = etree.Element("a", b=value)
    element.text = value
    assert f'<a b="{attribute(value)}">{text(value)}</a>'.encode() == etree.tostring(element, encoding="utf-8")


@pytest.mark.parametrize("value", [f"x{one}" for one in NO_CHARACTERS], ids=ascii)
def test_what_xml_has_no_way_to_say_is_not_written(value: str) -> None:
    for write in (attribute, text):
        with pytest.raises(ValueError, match="XML does not have"):
            write(value)
