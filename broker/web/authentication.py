"""Who calls the API: by a bearer token, by a client certificate, or by both, which must then be the same client's."""

from datetime import datetime
from typing import Final

from aiohttp import hdrs, web

from broker.diagnosis import causes
from broker.message import Client
from broker.ports import Clients
from broker.web.problems import stop

_MISSING: Final = ("Gyldig token eller klientsertifikat mangler.", "A valid token or client certificate is missing.")
_UNKNOWN: Final = (
    "Klientsertifikatet er gyldig, men ikke ført opp på noen klient.",
    "The client certificate is valid, and no client of ours has it.",
)
_DIFFER: Final = (
    "Token og klientsertifikat tilhører ikke samme klient.",
    "Token and client certificate are not of the same client.",
)


def client_of(request: web.Request, clients: Clients, at: datetime) -> Client:
    """Return the client behind a request. Raises Stop (401, MB-1011)."""
    shown = _certificate(request)
    by_certificate = clients.by_certificate(shown, at) if shown is not None else None
    if hdrs.AUTHORIZATION not in request.headers:
        if by_certificate is not None:
            return by_certificate
        raise stop(401, causes.NOT_AUTHENTICATED, *(_MISSING if shown is None else _UNKNOWN))
    by_token = _by_token(request, clients)
    if by_token is None:
        raise stop(401, causes.NOT_AUTHENTICATED, *_MISSING)
    if shown is not None and by_certificate != by_token:
        raise stop(401, causes.NOT_AUTHENTICATED, *_DIFFER)
    return by_token


def _by_token(request: web.Request, clients: Clients) -> Client | None:
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return clients.by_token(token.strip()) if scheme.lower() == "bearer" and token.strip() else None


def _certificate(request: web.Request) -> bytes | None:
    """Return the client's certificate (DER), which the handshake has verified; None where it showed none."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    return bytes(shown) if shown else None
