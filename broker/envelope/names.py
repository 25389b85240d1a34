"""Names of the field: namespaces, `{namespace}local` of SOAP, ebMS, MsgHead and XMLDSig, and the URIs of MIME parts."""

from functools import cache
from urllib.parse import quote, unquote

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EB = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XHTML = "http://www.w3.org/1999/xhtml"
DS = "http://www.w3.org/2000/09/xmldsig#"

MSGHEAD = "http://www.kith.no/xmlstds/msghead/2006-05-24"
DIALOG_10 = "http://www.kith.no/xmlstds/dialog/2006-10-11"
DIALOG_11 = "http://www.kith.no/xmlstds/dialog/2013-01-23"
APPREC_10 = "http://www.kith.no/xmlstds/apprec/2004-11-21"
APPREC_11 = "http://www.kith.no/xmlstds/apprec/2012-02-15"
BASE64 = "http://www.kith.no/xmlstds/base64container"
FK1 = "http://www.kith.no/xmlstds/felleskomponent1"
KITH = "http://www.kith.no/xmlstds"


@cache
def soap(local: str) -> str:
    """Return the qualified name of a SOAP 1.1 element or attribute."""
    return f"{{{SOAP}}}{local}"


@cache
def eb(local: str) -> str:
    """Return the qualified name of an ebMS 2.0 element or attribute; its attributes are qualified too."""
    return f"{{{EB}}}{local}"


@cache
def mh(local: str) -> str:
    """Return the qualified name of a MsgHead element."""
    return f"{{{MSGHEAD}}}{local}"


@cache
def ds(local: str) -> str:
    """Return the qualified name of an XMLDSig element."""
    return f"{{{DS}}}{local}"


def cid(content_id: str) -> str:
    """Return the URI of a MIME part (RFC 2392) whose Content-ID, without angle brackets, is given."""
    return "cid:" + quote(content_id, safe="!$&'()*+,;=:@")


def content_id(uri: str) -> str | None:
    """Return the Content-ID that a `cid:` URI names, or None for any other URI."""
    return unquote(uri[4:]) if uri[:4].lower() == "cid:" and len(uri) > 4 else None
