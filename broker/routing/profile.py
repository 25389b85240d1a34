"""How a partner's engine wants things said, where engines differ: the party profile as a value.

What is named here is all that may differ; `profiles/README.md` has a line for each key. Nothing of it widens whom we
trust: that stands in the party's record. What a process or an agreement settles (Service, Role and Action of a
message, what is signed) is not said here either.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.envelope.ebms import Description, system_description
from broker.errors import Misconfigured
from broker.message import Client
from broker.receipts.acknowledgment import SignalForm
from broker.routing.tables import read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One file of the folder `profiles`. The defaults are what every engine takes, but for those that have a file."""

    name: str = "default"
    title: str = "what most engines take"
    ref_in_acknowledgment: bool = True  # MessageData/RefToMessageId in an Acknowledgment; HIS 1037 errata 2 forbids it
    actor: bool = True  # SOAP:actor toPartyMSH on AckRequested and Acknowledgment
    signal_service_type: str | None = None  # eb:type of the MSH's Service on signals
    roles_on_signals: bool = False  # the Roles of the message, swapped, on what answers it
    root_encoding: str = "8bit"  # Content-Transfer-Encoding of the root part, where there are payloads
    payload_encoding: str = "base64"  # Content-Transfer-Encoding of a payload part
    describe_msh: bool = True  # Description with the MSH's name and version (HIS 1210)
    unsigned_errors: bool = True  # an unsigned MessageError counts, in the HTTP answer over an authenticated channel

    def signals(self, *, software: str, version: str) -> SignalForm:
        """Return how our signals are said, by the software of that name and version."""
        return SignalForm(
            service_type=self.signal_service_type,
            roles=self.roles_on_signals,
            reference=self.ref_in_acknowledgment,
            descriptions=self.descriptions(software=software, version=version),
        )

    def descriptions(self, *, software: str, version: str, client: Client | None = None) -> tuple[Description, ...]:
        """Return what says who we are, on every envelope, and which EPJ system wrote what is in it (HIS 1210)."""
        if not self.describe_msh:
            return ()
        system, its_version = (client.system, client.system_version) if client else (None, None)
        said = system_description(msh=software, msh_version=version, system=system, system_version=its_version)
        return (said,)


DEFAULT = Profile()
_ENCODINGS = {"root_encoding": ("8bit", "base64"), "payload_encoding": ("base64", "binary")}


def read_profile(text: str, *, source: str) -> Profile:
    """Return the profile of one file. Raises Misconfigured, which names the key and the right form."""
    table = read_toml(text, source=source)
    profile = Profile(
        name=table.text("name"),
        title=table.text("title"),
        ref_in_acknowledgment=table.flag("ref_in_acknowledgment", DEFAULT.ref_in_acknowledgment),
        actor=table.flag("actor", DEFAULT.actor),
        signal_service_type=table.text("signal_service_type", "") or None,
        roles_on_signals=table.flag("roles_on_signals", DEFAULT.roles_on_signals),
        root_encoding=table.text("root_encoding", DEFAULT.root_encoding),
        payload_encoding=table.text("payload_encoding", DEFAULT.payload_encoding),
        describe_msh=table.flag("describe_msh", DEFAULT.describe_msh),
        unsigned_errors=table.flag("unsigned_errors", DEFAULT.unsigned_errors),
    )
    sources = table.table("source")  # key -> where the fact comes from; each key that differs must have one
    told = {key: sources.text(key) for key in sources.names()}
    sources.done()
    table.done()
    for key, encodings in _ENCODINGS.items():
        if getattr(profile, key) not in encodings:
            table.wrong(key, " or ".join(f'"{one}"' for one in encodings))
    for key in table.names():
        if key not in {"name", "title", "source"} and key not in told:
            why = f"says how the engine differs in {key}, and not where that is known from"
            raise Misconfigured(why, where=f"{source}: source.{key}", hint=f'write {key} = "..." under [source]')
    return profile


def named(profiles: Mapping[str, Profile], name: str) -> Profile | None:
    """Return the profile of that name; "default" always is one."""
    return profiles.get(name) or (DEFAULT if name == DEFAULT.name else None)
