"""Numbers, tokens and keys that a caller may send by mistake or malice, each a canary, and where each may be put."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.scenario.canaries import NUMBER, Cage

_EBMS = """<?xml version="1.0"?>
<SOAP:Envelope xmlns:SOAP="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:eb="http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"><SOAP:Header>
<eb:MessageHeader eb:version="{version}" SOAP:mustUnderstand="1">
<eb:From><eb:PartyId eb:type="{type}">{sender}</eb:PartyId>
<eb:Role>{role}</eb:Role></eb:From><eb:To><eb:PartyId eb:type="HER">{receiver}</eb:PartyId></eb:To>
<eb:CPAId>{cpa}</eb:CPAId><eb:ConversationId>{conversation}</eb:ConversationId><eb:Service>{service}</eb:Service>
<eb:Action>{action}</eb:Action><eb:MessageData><eb:MessageId>{id}</eb:MessageId><eb:Timestamp>{time}</eb:Timestamp>
</eb:MessageData></eb:MessageHeader></SOAP:Header><SOAP:Body/></SOAP:Envelope>"""
_FIELDS = (
    *("version", "type", "sender", "role", "receiver", "cpa"),
    *("conversation", "service", "action", "id", "time"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that cannot succeed, with canaries in it."""

    method: str
    path: str
    content: bytes | None = None
    content_type: str = "application/xml"
    headers: dict[str, str] = field(default_factory=dict)
    to_partner_door: bool = False


class Secrets:
    """Makes a new secret each time, of each kind in turn."""

    def __init__(self, cage: Cage) -> None:
        self._cage, self.made = cage, 0

    def next(self, where: str, *, one_line: bool = True) -> str:
        """Return a secret for the place `where`."""
        self.made += 1
        kind = self.made % (7 if one_line else 8)
        core = self._cage.mint(where).removeprefix("Blå").removesuffix("ært")
        number = self._cage.adopt(f"{NUMBER}{self.made:05d}", where) if kind in (0, 1) else ""
        return (
            number,
            f"nr {number}",
            f"{core}A1b2C3d4E5f6G7h8J9k0L1m2N3",
            f"Bearer {core}",
            f"eyJhbGciOiJub25lIn0.{core}.x",
            f"whsec_{core}",
            f"password={core}",
            f"-----BEGIN PRIVATE KEY-----\n{core}\n-----END PRIVATE KEY-----",
        )[kind]

    def requests(self, rounds: int) -> Iterator[Request]:
        """Yield requests to both doors, each place of each with a secret of its own."""
        for _ in range(rounds):
            yield from self._to_the_epj()
            yield from self._to_the_partners()

    def _headers(self, *names: str) -> dict[str, str]:
        return {name: self.next(f"header {name}") for name in names}

    def _to_the_epj(self) -> Iterator[Request]:
        for path in ("messages/{}", "messages/{}/document", "inbox/{}", "inbox/{}/document", "nothing/{}"):
            yield Request(
                method="GET",
                path=f"/api/v1/{path.format(quote(self.next('path', one_line=False), safe=''))}",
                headers=self._headers("Accept-Language", "User-Agent", "Cookie", "X-Request-Id", "Idempotency-Key"),
            )
        for name in ("after", "limit", "unread", "unknown"):
            query = quote(self.next(f"query {name}", one_line=False), safe="")
            yield Request(method="GET", path=f"/api/v1/events?{name}={query}")
            yield Request(method="GET", path=f"/api/v1/inbox?{name}={query}")
        for scheme in ("Bearer", "Basic", "DPoP"):
            authorization = f"{scheme} {self.next('Authorization')}"
            yield Request(method="GET", path="/api/v1/inbox", headers={"Authorization": authorization})
        for content in (
            self.next("body", one_line=False),
            f"<a b='{self.next('attribute')}'>{self.next('text', one_line=False)}</a>",
            f'<!DOCTYPE x [<!ENTITY e "{self.next("entity")}">]><x>&e;</x>',
            f"<MsgHead xmlns='{self.next('namespace')}'/>",
        ):
            yield Request(method="POST", path="/api/v1/messages", content=content.encode())
            kind = f"application/xml; charset={self.next('charset').replace(' ', '')}"
            yield Request(method="POST", path="/api/v1/messages/validate", content=content.encode(), content_type=kind)
        yield Request(
            method="POST",
            path="/api/v1/events/confirm",
            content=f'{{"{self.next("key")}": "{self.next("value")}"}}'.encode(),
            content_type="application/json",
        )

    def _to_the_partners(self) -> Iterator[Request]:
        headers = self._headers("SOAPAction", "User-Agent", "X-Forwarded-For")
        for name in _FIELDS:
            good = {
                "version": "2.0",
                "type": "HER",
                "sender": "8000201",
                "receiver": "8000102",
                "time": "2026-11-22T12:00:00Z",
            }
            values = dict.fromkeys(_FIELDS, "x") | good | {name: self.next(f"eb {name}", one_line=False)}
            content = _EBMS.format(**values).encode()
            yield Request(
                method="POST",
                path="/ebms",
                content=content,
                content_type="text/xml",
                headers=headers,
                to_partner_door=True,
            )
        every = _EBMS.format(**{name: self.next(f"eb {name}") for name in _FIELDS}).encode()
        boundary = f"b{self.next('boundary').replace(' ', '').replace('=', '')}"
        part = (
            f"--{boundary}\r\nContent-Type: text/xml\r\nContent-ID: <{self.next('Content-ID')}>\r\n\r\n".encode()
            + every
            + f"\r\n--{boundary}--\r\n".encode()
        )
        kind = f'multipart/related; type="text/xml"; boundary="{boundary}"'
        for content, content_type in ((every, "text/xml"), (part, kind), (part, f"text/{self.next('type')[:20]}")):
            yield Request(method="POST", path="/ebms", content=content, content_type=content_type, to_partner_door=True)
