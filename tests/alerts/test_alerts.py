"""A problem is told once when it opens and once when it is over, however many stand in it and whatever happens."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path

from broker.diagnosis.conditions import Facts, Term, conditions
from broker.message import Ball
from broker.transport.alert_mail import Mail
from broker.transport.alert_webhook import Webhook
from tests.alerts.rig import NOW, OURS, PARTNER, site
from tests.alerts.sinks import Mails, mail_server, webhook_server

PROBLEM = f"K2:MB-3202:{PARTNER}"


def mail(sink: Mails) -> Mail:
    return Mail(
        host="127.0.0.1",
        port=sink.port,
        security="none",
        sender="broker@fjordvik.example",
        receivers=("drift@fjordvik.example",),
    )


async def test_a_group_of_ten_thousand_sends_two(tmp_path: Path) -> None:
    async with (
        mail_server() as mails,
        webhook_server() as posts,
        site(tmp_path, mail(mails), Webhook(url=posts.url)) as here,
    ):
        await here.stall(10_000)
        for _ in range(30):
            here.clock.later(minutes=1)
            await here.watch.look()
        await here.restart()
        for _ in range(30):
            here.clock.later(minutes=1)
            await here.watch.look()
        assert len(mails.raw) == len(posts.bodies) == 1
        await here.mend()
        for _ in range(30):
            here.clock.later(minutes=1)
            await here.watch.look()
        await here.restart()
        here.clock.later(minutes=1)
        await here.watch.look()
        assert await here.store.alerts() == ()
    assert len(mails.raw) == len(posts.bodies) == 2
    opened, closed = mails.mails
    assert opened["Subject"].startswith("[broker.example] 10000 meldinger, Dalbygda legesenter")
    assert closed["Subject"].startswith("[broker.example] Løst: 10000 meldinger")
    assert PROBLEM in opened.get_content()
    first, second = (json.loads(body)["data"] for body in posts.bodies)
    assert [one["problem"] for one in first["opened"]] == [one["problem"] for one in second["closed"]] == [PROBLEM]
    assert first["opened"][0]["count"] == 10_000


async def test_what_passes_by_itself_within_the_time_is_not_told(tmp_path: Path) -> None:
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        await here.stall(3)
        here.clock.later(minutes=14)
        await here.watch.look()
        await here.mend()
        here.clock.later(minutes=14)
        await here.watch.look()
    assert posts.bodies == []


async def test_what_needs_a_person_is_told_at_once(tmp_path: Path) -> None:
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        await here.stall(1, cause="MB-2003", ball=Ball.PERSON)
        await here.watch.look()
    (opened,) = json.loads(posts.bodies[0])["data"]["opened"]
    assert (opened["errorId"], opened["ball"]) == ("MB-2003", "person")


async def test_what_comes_and_goes_is_told_once(tmp_path: Path) -> None:
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        for _ in range(10):
            await here.stall(1, cause="MB-2003", ball=Ball.PERSON)
            here.clock.later(minutes=2)
            await here.watch.look()
            await here.mend()
            here.clock.later(minutes=2)
            await here.watch.look()
    assert len(posts.bodies) == 1


async def test_a_hundred_partners_down_at_once_are_one_notice(tmp_path: Path) -> None:
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        for her in range(8_100_000, 8_100_100):
            await here.stall(1, receiver_her=her)
        here.clock.later(minutes=16)
        await here.watch.look()
        await here.watch.look()
    assert len(posts.bodies) == 1
    assert len(json.loads(posts.bodies[0])["data"]["opened"]) == 100


async def test_a_channel_that_is_down_is_tried_again_and_the_other_is_not_told_twice(tmp_path: Path) -> None:
    async with (
        mail_server() as mails,
        webhook_server() as posts,
        site(tmp_path, mail(mails), Webhook(url=posts.url)) as here,
    ):
        mails.answer, posts.status = "451 later", 200
        await here.stall(1, cause="MB-2003", ball=Ball.PERSON)
        for _ in range(3):
            await here.watch.look()
            here.clock.later(minutes=1)
        assert (len(mails.raw), len(posts.bodies)) == (0, 1)
        await here.restart()
        mails.answer = "250 kept"
        await here.watch.look()
        here.clock.later(minutes=1)
        await here.watch.look()
    assert (len(mails.raw), len(posts.bodies)) == (1, 1)


async def test_a_webhook_is_signed_and_keeps_its_id_when_it_is_tried_again(tmp_path: Path) -> None:
    key = b"key of the test"
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url, secrets=(key,))) as here:
        await here.stall(1, cause="MB-2003", ball=Ball.PERSON)
        posts.status = 500
        await here.watch.look()
        here.clock.later(minutes=1)
        posts.status = 204
        await here.watch.look()
    (headers,) = posts.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + posts.bodies[0]
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert len(headers["webhook-id"]) == 32


async def test_our_own_missing_certificate_is_told_before_any_message_waits_for_it(tmp_path: Path) -> None:
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        missing = Term(whose="987654321", own=True, ends=None, error_id="MB-4104")
        here.around = Facts(now=NOW, free=9, reserve=1, terms=(missing,))
        await here.watch.look()
        here.clock.later(minutes=2)
        await here.watch.look()
    (opened,) = json.loads(posts.bodies[0])["data"]["opened"]
    assert opened["problem"] == "own:MB-4104:org-987654321"
    assert opened["herId"] is None
    assert "987654321" in opened["name"]["nb"]
    assert len(posts.bodies) == 1


async def test_an_alarm_that_belongs_to_no_message_is_told_at_once_and_when_it_is_over(tmp_path: Path) -> None:
    cancelled = {OURS: [NOW - timedelta(minutes=20)]}
    late = Facts(now=NOW, free=9, reserve=1, cancelled=cancelled, resting={"https://x:443": NOW})
    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        here.around = late
        # A lane that rests is told by its deliveries.
        assert {each.error_id for each in conditions(late)} == {"MB-5103", "MB-3215"}
        await here.watch.look()
        here.around = Facts(now=NOW, free=9, reserve=1)
        for _ in range(2):
            here.clock.later(minutes=10)
            await here.watch.look()
    (opened,), (closed,) = (
        json.loads(posts.bodies[0])["data"]["opened"],
        json.loads(posts.bodies[1])["data"]["closed"],
    )
    assert opened["problem"] == closed["problem"] == f"own:MB-5103:{OURS}"
    assert len(posts.bodies) == 2


async def test_a_document_that_no_epj_collects_is_a_problem_after_half_an_hour(tmp_path: Path) -> None:
    from broker.message import Changes, Direction, EventKind
    from tests.store import values

    async with webhook_server() as posts, site(tmp_path, Webhook(url=posts.url)) as here:
        body = values.body()
        message = values.message(body, direction=Direction.IN, sender_her=PARTNER, client=None)
        item = values.item(message, received_at=here.clock.now())
        await here.store.record(
            Changes(
                events=(values.event(kind=EventKind.INBOX_DOCUMENT),),
                bodies=(body,),
                messages=(message,),
                new_items=(item,),
            )
        )
        here.clock.later(minutes=29)
        await here.watch.look()
        assert posts.bodies == []
        here.clock.later(minutes=2)
        await here.watch.look()
    (opened,) = json.loads(posts.bodies[0])["data"]["opened"]
    assert opened["errorId"] == "MB-5102"
    assert timedelta(0) < here.clock.now() - item.received_at
