"""What a guest needs to try the demo by hand: a document ready to post, an agreement, tokens, and lines to paste."""

import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from broker.demo import people
from broker.demo.agreement import Side, cpa
from broker.demo.cases import DALBYGDA, FJORDVIK
from broker.demo.documents import Code, Dialogue, Head, Unit, document, note
from broker.demo.site import DemoSite

_CLINICAL = Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog")
_ABOUT_PATIENT = Code(value="6", text="Henvendelse om pasient", listed="7322")


def prepare(folder: Path, sites: Mapping[str, DemoSite], *, new_id: Callable[[], str], now: datetime) -> list[str]:
    """Write `env`, `try/message.xml` and `try/cpa.xml` below `folder`, and return the lines that a guest may paste.

    `env` is shell: API and TOKEN of the guest's place in Fjordvik, and THEIR_API and THEIR_TOKEN of that in Dalbygda.
    """
    here, there = sites[FJORDVIK], sites[DALBYGDA]
    if here.guest is None or here.guest_token is None or there.guest_token is None:
        raise ValueError("these sites have no place for a guest")
    head = Head(
        type=_CLINICAL,
        msg_id=new_id(),
        made_at=now,
        sender=here.guest,
        receiver=there.unit,
        patient=people.AASE,
    )
    business = note(Dialogue.V1_1, _ABOUT_PATIENT, subject="Prøve", text="En melding sendt for hånd.")
    message = folder / "try" / "message.xml"
    message.parent.mkdir(exist_ok=True)
    message.write_bytes(document(head, business, title="Prøve"))
    agreement = cpa(
        f"demo:{here.guest.her}:{there.unit.her}", _side(here, here.guest), _side(there, there.unit), now=now
    )
    (folder / "try" / "cpa.xml").write_bytes(agreement)
    variables = {
        "API": here.api,
        "TOKEN": here.guest_token,
        "THEIR_API": there.api,
        "THEIR_TOKEN": there.guest_token,
    }
    env = folder / "env"
    env.touch(mode=0o600)
    env.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()), "utf-8")
    return [
        f". {shlex.quote(str(env))}",
        'curl -sS -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/xml" '
        f'--data-binary @{shlex.quote(str(message))} "$API/api/v1/messages"',
        f'curl -sS -H "Authorization: Bearer $TOKEN" "$API/api/v1/messages/{head.msg_id}"',
    ]


def _side(site: DemoSite, unit: Unit) -> Side:
    # Of our own certificates, too, there is a copy with the address records.
    signing, encryption = (
        (site.folder / "addresses" / f"{site.key}-{use}.crt").read_text("utf-8") for use in ("signing", "encryption")
    )
    return Side(her=unit.her, name=unit.name, endpoint=f"{site.partner}/ebms", signing=signing, encryption=encryption)
