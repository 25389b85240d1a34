"""A running broker sees what `broker agreements` does beside it: it parks at a conflict, and goes on once mended."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner, Result

from broker.cli.main import main
from broker.demo.cases import DALBYGDA, FJORDVIK
from broker.demo.children import stop_all
from broker.demo.documents import Code, Dialogue, Head, document, note
from broker.demo.people import AASE
from broker.demo.questions import Questions
from broker.demo.start import start_broker, until_ready
from broker.lookup.clock import SystemClock
from tests.interop.cpa_cases import receipts
from tests.interop.cpa_files import but, cpa
from tests.rig.sites import quick_sites

MSG_ID = "88888888-0000-4000-8000-000000000001"


def _invoked(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["--lang", "en", *arguments], catch_exceptions=False)


async def _until(what: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so. Raises TimeoutError after 20 seconds."""
    async with asyncio.timeout(20):
        while True:
            if await what():
                return
            await asyncio.sleep(0.1)


async def _stands_at(questions: Questions, error_id: str) -> None:
    """Wait until the broker says that the letter waits for this reason."""

    async def stands() -> bool:
        way = await questions.way(MSG_ID)
        return way is not None and way.error_id == error_id

    await _until(stands)


@pytest.mark.timeout(90)
async def test_a_running_broker_takes_an_agreement_into_use_and_parks_while_a_table_contradicts_it(
    tmp_path: Path, restored_log: None
) -> None:
    sites = quick_sites(tmp_path)
    here, there = sites[FJORDVIK], sites[DALBYGDA]
    ends = ("--a-id", str(here.unit.her), "--b-id", str(there.unit.her), "--b-url", f"{there.partner}/ebms", "--sync")
    certificates = [here.folder / "addresses" / f"{key}-signing.crt" for key in (FJORDVIK, DALBYGDA)]
    made = cpa(*ends, "--cpaid", "running:1", a_cert=certificates[0], b_cert=certificates[1])
    file = tmp_path / "partner.xml"
    file.write_bytes(receipts("Apprec")(but(('c:action="Foresporsel"', 'c:action="Notat"'))(made)))
    head = Head(
        type=Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog"),
        msg_id=MSG_ID,
        made_at=SystemClock().now(),
        sender=here.unit,
        receiver=there.unit,
        patient=AASE,
    )
    theme = Code(value="6", text="Henvendelse om pasient", listed="7322")
    letter = document(head, note(Dialogue.V1_1, theme, subject="Prøve", text="Prøve"), title="Prøve")
    record = here.folder / "addresses" / f"{DALBYGDA}-{there.unit.her}.toml"
    imported = ("agreements", "import", str(file), "--process", "HELSEFAGLIG=Interop", "--config", str(here.config))

    def reloads() -> int:
        return here.broker_log.read_text("utf-8").count('"records.reloaded"')

    child = await start_broker(here)  # the partner's is not started: what is sealed finds nobody
    questions = Questions(here.api, here.token)
    try:
        await until_ready(child, questions)
        before = reloads()
        taken = await asyncio.to_thread(_invoked, *imported, "--take", "--json")
        assert taken.exit_code == 1, taken.output
        told = json.loads(taken.stdout)
        assert told["waiting"] == {"unsealed": [], "sealed": [], "acknowledged": [], "more": False}
        assert any("demo:" in text["en"] for text in told["conflicts"])

        async def seen() -> bool:
            return reloads() > before

        await _until(seen)
        headers = {"Authorization": f"Bearer {here.token}", "Content-Type": "application/xml"}
        async with (
            aiohttp.ClientSession(here.api, headers=headers) as epj,
            epj.post("/api/v1/messages", data=letter) as answer,
        ):
            assert answer.status == 202, await answer.text()
        await _stands_at(questions, "MB-2013")
        shown = await asyncio.to_thread(_invoked, *imported)
        assert f"1 not sealed: get the new terms: {MSG_ID}" in shown.stdout
        text = record.read_text("utf-8")
        table = re.compile(rf"\n\[\[agreement\]\]\nwith = {here.unit.her}\n(?:[a-z_]+ = .*\n)+")
        assert len(table.findall(text)) == 1
        record.write_text(table.sub("", text), "utf-8")
        await _stands_at(questions, "MB-3202")
        shown = await asyncio.to_thread(_invoked, *imported)
        assert shown.exit_code == 0, shown.output
        assert f"1 sealed: sent byte for byte as they are: {MSG_ID}" in shown.stdout
    finally:
        await questions.close()
        await stop_all([child])
