"""The Idempotency-Key of an EPJ, over a real store: a second name for a post, which nobody else can use up."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker import intake
from broker.errors import Conflict, Denied, KeyReused
from broker.message import Client
from broker.validation.documents import DocumentRefused
from tests.scenario.pair import FJORDVIK, Pair, dialogue, pair

KEY = "9b2f-invoice-run-17"


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as made:
        yield made


async def _post(brokers: Pair, raw: bytes, key: str | None = KEY, client: Client | None = None) -> intake.Taken:
    return await intake.accept(raw, client or brokers.left.client, brokers.left.doors, key)


async def test_the_same_key_and_bytes_give_the_same_answer(brokers: Pair) -> None:
    first = await _post(brokers, dialogue("m-1"))
    again = await _post(brokers, dialogue("m-1"))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.message == first.message
    assert [delivery.id for delivery in again.deliveries] == [delivery.id for delivery in first.deliveries]


async def test_a_repeat_is_answered_even_where_the_document_would_be_refused_today(brokers: Pair) -> None:
    first = await _post(brokers, dialogue("m-1"))
    brokers.left.addresses.directory = replace(brokers.left.addresses.directory, parties={})
    assert (await _post(brokers, dialogue("m-1"))).message.id == first.message.id
    with pytest.raises(DocumentRefused):
        await _post(brokers, dialogue("m-1"), key=None)


async def test_other_bytes_under_the_key_are_refused_and_nothing_is_kept(brokers: Pair) -> None:
    await _post(brokers, dialogue("m-1"))
    with pytest.raises(KeyReused):
        await _post(brokers, dialogue("m-2"))
    with pytest.raises(KeyReused):  # the key is looked at first: another text under the same MsgId is one too
        await _post(brokers, dialogue("m-1", text="Epletur"))
    assert await brokers.left.store.outbound(FJORDVIK, "m-2") is None


async def test_a_new_key_frees_no_msg_id(brokers: Pair) -> None:
    first = await _post(brokers, dialogue("m-1"))
    assert (await _post(brokers, dialogue("m-1"), key="other")).message.id == first.message.id
    with pytest.raises(Conflict):
        await _post(brokers, dialogue("m-1", text="Epletur"), key="another")


async def test_what_was_refused_uses_up_no_key(brokers: Pair) -> None:
    with pytest.raises(DocumentRefused):
        await _post(brokers, b"<no/>")
    assert not (await _post(brokers, dialogue("m-1"))).replayed


async def test_each_client_has_keys_of_its_own(brokers: Pair) -> None:
    await _post(brokers, dialogue("m-1"))
    other = Client(name="another system", hers=frozenset({FJORDVIK}))
    assert not (await _post(brokers, dialogue("m-2"), client=other)).replayed


async def test_a_client_that_lost_the_her_id_is_told_nothing_of_what_it_posted(brokers: Pair) -> None:
    await _post(brokers, dialogue("m-1"))
    with pytest.raises(Denied):
        await _post(brokers, dialogue("m-1"), client=replace(brokers.left.client, hers=frozenset({1})))


async def test_of_many_posts_at_once_under_one_key_one_document_is_taken(brokers: Pair) -> None:
    """Half of them bring other bytes: whichever is first has the key, and the others are told so."""
    posts = [_post(brokers, dialogue(f"m-{number % 2}")) for number in range(20)]
    answers = await asyncio.gather(*posts, return_exceptions=True)
    taken = [answer for answer in answers if isinstance(answer, intake.Taken)]
    assert len({answer.message.id for answer in taken}) == 1
    assert [answer.replayed for answer in taken].count(False) == 1
    assert len(taken) == 10
    assert sum(isinstance(answer, KeyReused) for answer in answers) == 10


async def test_no_word_of_a_key_stands_in_the_store(brokers: Pair, tmp_path: Path) -> None:
    await _post(brokers, dialogue("m-1"), key="Aase-17834112078")
    with sqlite3.connect(tmp_path / str(FJORDVIK) / "store.sqlite") as db:
        assert "Aase" not in "\n".join(db.iterdump())
        assert db.execute("SELECT count(*) FROM message WHERE key_sha256 IS NOT NULL").fetchone() == (1,)
    db.close()
