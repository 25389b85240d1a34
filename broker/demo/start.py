"""Starts a site's broker and its simulator; other harnesses start them the same way."""

import asyncio

from broker.demo.children import Child
from broker.demo.questions import Questions
from broker.demo.site import DemoSite

_GLANCE = 0.1  # seconds between looks at /readyz
READY_WITHIN = 40.0


class NotReady(Exception):
    """A broker did not get ready in time."""


async def start_broker(site: DemoSite, *, module: str = "broker") -> Child:
    """Start `python -m module serve` with the site's settings. It is not waited for; see `until_ready`."""
    arguments = ("serve", "--config", str(site.config))
    return await Child.start(f"broker {site.key}", module, arguments, log=site.broker_log, folder=site.folder)


async def until_ready(broker: Child, questions: Questions) -> None:
    """Wait until the broker says that it is ready. Raises Died or NotReady."""
    try:
        async with asyncio.timeout(READY_WITHIN):
            while not await questions.ready():
                broker.alive()
                await asyncio.sleep(_GLANCE)
    except TimeoutError:
        raise NotReady(f"{broker.name} was not ready within {READY_WITHIN:.0f} s; see {broker.log}") from None


async def start_simulator(site: DemoSite) -> Child:
    """Start the site's simulator, whose orders are written."""
    arguments = ("--config", str(site.orders))
    module = "broker.demo.simulator"
    return await Child.start(f"simulator {site.key}", module, arguments, log=site.simulator_log, folder=site.folder)
