"""What becomes of each delivery: against an SMTP server that answers as told, and for the dispatcher alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from feeds import database
from feeds.database import tables
from feeds.database.tables import deliveries, issues, subscribers
from feeds.model import Message, Outcome
from feeds.newsletter.delivery import delivery_rows, issue_status, throttle
from feeds.newsletter.delivery.ledgers import Compose
from tests import forking

from .sending import NOW, Composer, Post, Recorder, serving, settings, smtp
from .servers import free_port, wait_for

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def post(tmp_path: Path) -> Any:
    made = Post(tmp_path)
    yield made
    made.close()


def test_every_subscriber_gets_the_message_once_and_the_issue_is_done(post: Post) -> None:
    post.add(30)
    heard: list[int] = []
    with serving() as server:
        tally = post.deliver(smtp(server.url), progress=heard.append)
    assert sorted(server.ids) == sorted(f"<weekly-1.{key}@example.org>" for key in range(1, 31))
    assert (tally.sent, tally.done, tally.problem) == (30, 30, "")
    assert post.counts() == {"sent": 30} and post.issue().status == "done" and heard[-1] == 30
    row = post.row(7)
    assert (row.reply, row.attempts, row.owner, row.updated) == ("250 OK", 1, "", NOW)


def test_the_message_arrives_byte_for_byte(post: Post) -> None:
    post.add(1)
    with serving() as server:
        post.deliver(smtp(server.url))
    [taken] = server.taken
    assert (taken.sender, taken.recipient) == ("digest+1.1@example.org", "reader1@example.org")
    assert b"\r\n..two dots\r\n" in taken.content and taken.content.endswith(b"y" * 200 + b"\r\n")


# -- what servers say ------------------------------------------------------


def test_a_greylisted_message_is_tried_again_when_it_is_due_and_keeps_its_message_id(post: Post) -> None:
    post.add(2)
    with serving(rcpt=lambda _to, number: "451 4.7.1 greylisted" if number <= 2 else None) as server:
        assert post.deliver(smtp(server.url)).retry == 2
        assert post.row(1).next_at == NOW + 60 and post.row(1).reply == "451 4.7.1 greylisted"
        assert post.deliver(smtp(server.url)).done == 0, "not due yet"
        post.now += 60
        assert post.deliver(smtp(server.url)).sent == 2
    assert sorted(server.ids) == ["<weekly-1.1@example.org>", "<weekly-1.2@example.org>"]
    assert post.issue().status == "done" and post.row(1).attempts == 2


def test_what_is_put_off_for_too_long_is_given_up(post: Post) -> None:
    post.add(1)
    recorder = Recorder(lambda _message: Outcome("retry", "451 later", "data"))
    waits = []
    while (row := post.row(1)).status != "failed":
        waits.append(max(0, row.next_at - int(post.now)))
        post.now = max(post.now, row.next_at)
        post.deliver(recorder, settings(retry_hours=3))
    assert waits == [0, 60, 300, 900, 3600, 3600]
    assert post.row(1).reply == "given up after 6 tries: 451 later" and post.issue().status == "done"


def test_an_issue_that_goes_out_late_is_tried_some_times_all_the_same(post: Post) -> None:
    post.add(1)
    post.now = NOW + 40 * 3600
    recorder = Recorder(lambda _message: Outcome("retry", "451 later", "data"))
    for _attempt in range(3):
        post.deliver(recorder, settings(retry_hours=1))
        post.now = post.row(1).next_at
    assert post.row(1).status == "retry"


def test_one_refused_recipient_of_many_fails_alone_and_is_booked(post: Post) -> None:
    post.add(20)
    booked: list[tuple[int, int, str, int]] = []
    with serving(rcpt=lambda to, _number: "550 5.1.1 no such user" if to == "reader5@example.org" else None) as server:
        tally = post.deliver(smtp(server.url), on_hard_failure=lambda _connection, *what: booked.append(what))
    assert (tally.sent, tally.failed) == (19, 1) and len(server.ids) == 19
    assert booked == [(5, 1, "550 5.1.1 no such user", NOW)]
    assert post.row(5).status == "failed" and post.issue().status == "done"
    post.now += 10**6
    with serving() as server:
        assert post.deliver(smtp(server.url)).done == 0, "5xx is final"


def test_a_booking_that_fails_does_not_stop_the_run(post: Post) -> None:
    post.add(3)

    def broken(*_what: Any) -> None:
        raise RuntimeError("no such table")

    with serving(rcpt=lambda _to, number: "550 no" if number == 1 else None) as server:
        assert post.deliver(smtp(server.url), on_hard_failure=broken).sent == 2


def test_421_in_mid_session_costs_a_connection_and_no_message(post: Post) -> None:
    post.add(12)
    with serving(mail=lambda _from, number: "421 4.3.2 too busy!" if number in (4, 9) else None) as server:
        tally = post.deliver(smtp(server.url, connections=1, patience=5))
    assert tally.sent == 12 and len(set(server.ids)) == 12 and len(server.connections) == 3


def test_a_connection_cut_before_the_reply_leaves_the_message_uncertain_until_the_operator_decides(post: Post) -> None:
    post.add(6)
    with serving(data=lambda _id, number: "!" if number == 3 else None) as server:
        tally = post.deliver(smtp(server.url, connections=1, patience=5))
        assert (tally.sent, tally.uncertain) == (5, 1)
        assert post.issue().status == "done", "it does not keep the issue open"
        with database.reading(post.engine) as connection:
            [unsure] = issue_status.troubled(connection)
        assert unsure.status == "uncertain" and unsure.address.startswith("reader") and "before the reply" in unsure.reply
        assert post.deliver(smtp(server.url)).done == 0, "held"
        assert post.retry() == 1 and post.issue().status == "open"
        assert post.deliver(smtp(server.url)).sent == 1
    key = unsure.address.partition("@")[0].removeprefix("reader")
    assert server.ids.count(f"<weekly-1.{key}@example.org>") == 2, "the server had taken it: the same Message-ID"
    assert post.counts() == {"sent": 6}


def test_where_the_operator_says_so_an_uncertain_message_goes_again_by_itself(post: Post) -> None:
    post.add(2)
    with serving(data=lambda _id, number: "!" if number == 1 else None) as server:
        post.deliver(smtp(server.url, connections=1, patience=5), settings(on_uncertain="resend"))
        post.now += 60
        post.deliver(smtp(server.url), settings(on_uncertain="resend"))
    assert post.counts() == {"sent": 2} and len(server.ids) == 3


def test_a_server_that_is_down_changes_no_row(post: Post) -> None:
    post.add(5)
    tally = post.deliver(smtp(f"smtp://127.0.0.1:{free_port()}?starttls=0"))
    assert tally.done == 0 and "127.0.0.1" in tally.problem and post.counts() == {"pending": 5}
    assert {post.row(key).owner for key in range(1, 6)} == {""}


def test_the_next_server_takes_over_and_the_first_has_its_place_back(post: Post) -> None:
    post.add(40)
    port = free_port()
    with serving() as second:
        assert post.deliver(smtp(f"smtp://127.0.0.1:{port}?starttls=0", second.url)).sent == 40
        post.add(80, issue=2)
        with serving(port=port) as first:
            assert post.deliver(smtp(first.url, second.url)).sent == 80
    assert len(second.ids) == 40 and len(first.ids) == 80


def test_a_server_that_goes_away_in_the_middle_is_replaced(post: Post) -> None:
    post.add(30)
    with serving(mail=lambda _from, number: "!" if number > 10 else None) as first, serving() as second:
        tally = post.deliver(smtp(first.url, second.url, connections=1))
    assert tally.sent == 30 and len(first.ids) == 10 and len(second.ids) == 20
    assert len({*first.ids, *second.ids}) == 30


def test_a_message_that_makes_the_server_hang_up_is_put_off_and_the_others_go(post: Post) -> None:
    post.add(6)
    with serving(rcpt=lambda to, _number: "!" if to == "reader2@example.org" else None) as server:
        tally = post.deliver(smtp(server.url, connections=1, patience=9))
    assert (tally.sent, tally.retry) == (5, 1) and post.row(2).status == "retry"


# -- when to stop ----------------------------------------------------------


def test_a_message_that_cannot_be_made_fails_alone(post: Post) -> None:
    post.add(5)
    tally = post.deliver(Recorder(), composer_for=lambda _connection, issue: Composer(issue, broken=(3,)).message)
    assert (tally.sent, tally.failed) == (4, 1)
    assert post.row(3).reply == "not composed: ValueError: no such article"


def test_an_issue_whose_messages_cannot_be_made_at_all_is_paused_and_others_go_on(post: Post) -> None:
    post.add(3).add(3, issue=2)

    def composer_for(_connection: Any, issue: int) -> Compose:
        if issue == 1:
            raise LookupError("no template digest.html")
        return Composer(issue).message

    tally = post.deliver(Recorder(), composer_for=composer_for)
    assert tally.sent == 3 and post.counts(1) == {"pending": 3} and post.counts(2) == {"sent": 3}
    assert post.issue(1).status == "paused" and "no template digest.html" in post.issue(1).reason


def test_too_many_errors_in_a_row_pause_the_issue_and_say_why(post: Post) -> None:
    post.add(50)
    with serving(data=lambda _id, _number: "554 5.7.1 looks like spam") as server:
        tally = post.deliver(smtp(server.url, connections=1), settings(max_errors=7))
    assert tally.failed == 7 and post.counts() == {"failed": 7, "pending": 43}
    assert post.issue().status == "paused" and "554 5.7.1 looks like spam" in post.issue().reason
    assert {post.row(key).owner for key in range(1, 51)} == {""}


def test_errors_between_successes_pause_nothing(post: Post) -> None:
    post.add(60)
    with serving(rcpt=lambda _to, number: "550 no" if number % 2 else None) as server:
        tally = post.deliver(smtp(server.url, connections=1), settings(max_errors=3))
    assert (tally.sent, tally.failed) == (30, 30) and post.issue().status == "done"


def test_a_refused_sender_pauses_the_issue_and_costs_no_subscriber_anything(post: Post) -> None:
    post.add(30)
    with serving(mail=lambda _from, _number: "553 5.7.1 sender not yours") as server:
        tally = post.deliver(smtp(server.url))
        assert tally.failed == 0 and post.counts() == {"pending": 30}
        assert post.issue().status == "paused" and "553 5.7.1 sender not yours" in post.issue().reason
        with database.writing(post.engine) as connection:
            assert issue_status.resume(connection, 1)
        server.mail = lambda _from, _number: None
        assert post.deliver(smtp(server.url)).sent == 30


def test_a_message_whose_sender_is_refused_among_others_fails(post: Post) -> None:
    post.add(10)
    with serving(mail=lambda sender, _number: "552 too big" if sender.endswith("1.4@example.org") else None) as server:
        tally = post.deliver(smtp(server.url, connections=1))
    assert (tally.sent, tally.failed) == (9, 1) and post.row(4).reply == "552 too big"


def test_stop_ends_the_run_and_frees_what_is_left(post: Post) -> None:
    post.add(200)
    stop = threading.Event()
    recorder = Recorder(lambda _message: (len(recorder.sent) >= 9 and stop.set()) or Outcome("sent"))
    assert post.deliver(recorder, stop=stop).sent == 10
    assert post.counts() == {"sent": 10, "pending": 190} and post.issue().status == "open"
    with database.reading(post.engine) as connection:
        owned = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.owner != "")
        assert connection.execute(owned).scalar() == 0


def test_an_issue_that_nobody_sent_for_too_long_waits_for_the_operator(post: Post) -> None:
    post.add(3)
    post.now = NOW + 49 * 3600
    assert post.deliver(Recorder()).done == 0
    assert post.issue().status == "paused" and "48 hours" in post.issue().reason
    with database.writing(post.engine) as connection:
        assert issue_status.resume(connection, 1) and not issue_status.resume(connection, 1)
    assert post.deliver(Recorder()).sent == 3


def test_a_slow_issue_that_is_under_way_is_not_late(post: Post) -> None:
    post.add(3)
    post.write(sa.update(deliveries).where(deliveries.c.subscriber == 1).values(status="sent", updated=NOW + 40 * 3600))
    post.now = NOW + 49 * 3600
    assert post.deliver(Recorder()).sent == 2


# -- the operator, and readers who leave -----------------------------------


def test_an_unsubscribe_during_a_send_takes_effect_for_rows_not_yet_sent(post: Post) -> None:
    post.add(50)

    def leave(_message: Message) -> Outcome:
        if len(recorder.sent) == 4:
            post.write(sa.update(deliveries).where(deliveries.c.subscriber == 30).values(status="cancelled"))
            post.write(sa.update(subscribers).where(subscribers.c.key == 40).values(status="unsubscribed"))
        return Outcome("sent")

    recorder = Recorder(leave)
    tally = post.deliver(recorder)
    assert (tally.sent, tally.cancelled) == (48, 1)
    assert not {"<weekly-1.30@example.org>", "<weekly-1.40@example.org>"} & set(recorder.sent)
    post.deliver(recorder)
    assert post.counts() == {"sent": 48, "cancelled": 2} and post.issue().status == "done"


def test_an_unsubscribe_while_the_server_waits_for_the_message_takes_it_back(post: Post) -> None:
    post.add(3)

    def leave(to: str, _number: int) -> None:
        if to == "reader2@example.org":
            post.write(sa.update(deliveries).where(deliveries.c.subscriber == 2).values(status="cancelled"))

    with serving(rcpt=leave) as server:
        tally = post.deliver(smtp(server.url, connections=1))
    assert sorted(server.ids) == ["<weekly-1.1@example.org>", "<weekly-1.3@example.org>"] and tally.sent == 2
    assert post.row(2).status == "cancelled"


def test_nothing_is_sent_to_who_is_no_longer_subscribed_or_was_erased(post: Post) -> None:
    post.add(4)
    post.write(sa.update(subscribers).where(subscribers.c.key == 1).values(status="bounced"))
    post.write(sa.delete(subscribers).where(subscribers.c.key == 2))
    recorder = Recorder()
    assert post.deliver(recorder).cancelled == 2
    assert len(recorder.sent) == 2 and post.row(1).status == post.row(2).status == "cancelled"


def test_pause_resume_and_cancel_take_effect_during_a_send(post: Post) -> None:
    post.add(100)

    def act(_message: Message) -> Outcome:
        if len(recorder.sent) == 9:
            with database.writing(post.engine) as connection:
                assert issue_status.pause(connection, 1, "by the operator")
        return Outcome("sent")

    recorder = Recorder(act)
    assert post.deliver(recorder).sent == 10
    assert post.counts() == {"sent": 10, "pending": 90}
    with database.writing(post.engine) as connection:
        assert issue_status.resume(connection, 1)
    recorder.answer = lambda _message: Outcome("sent")
    assert post.deliver(recorder).sent == 90
    post.add(5, issue=2)
    with database.writing(post.engine) as connection:
        assert issue_status.cancel(connection, 2, NOW) == 5
    assert post.deliver(recorder).done == 0 and post.counts(2) == {"cancelled": 5}
    assert post.retry(failed=True) == 0, "a cancelled issue stays so"


def test_retry_can_bring_failed_messages_back(post: Post) -> None:
    post.add(4)
    post.deliver(Recorder(lambda _message: Outcome("failed", "554 no", "body")))
    assert post.retry() == 0 and post.retry(issue=2, failed=True) == 0 and post.retry(issue=1, failed=True) == 4
    assert post.deliver(Recorder()).sent == 4


# -- several senders, dead senders -----------------------------------------


def test_rows_of_a_dead_sender_become_uncertain_or_free_and_those_of_a_living_one_stay(post: Post) -> None:
    post.add(6)
    gone = subprocess.run([sys.executable, "-c", "print(1)"], check=True, capture_output=True)
    assert gone.returncode == 0
    living = delivery_rows.new_owner()
    host, _pid, _start, number = living.split(":")
    dead = f"{host}:{2**22 - 3}:17:{number}"
    reused = f"{host}:{living.split(':')[1]}:1:{number}"
    far, far_dead = f"elsewhere:1:1:{number}", f"elsewhere:2:1:{number}"
    held = [(1, "sending", dead, 0), (2, "pending", dead, NOW + 99), (3, "sending", living, NOW + 99)]
    held += [(4, "sending", reused, NOW + 99), (5, "sending", far, NOW + 1), (6, "retry", far_dead, NOW)]
    for key, status, owner, lease in held:
        post.write(sa.update(deliveries).where(deliveries.c.subscriber == key).values(status=status, owner=owner, lease=lease))
    with database.writing(post.engine) as connection:
        assert delivery_rows.reap(connection, NOW) == 2
    assert [post.row(key).status for key in range(1, 7)] == ["uncertain", "pending", "sending", "uncertain", "sending", "retry"]
    assert [bool(post.row(key).owner) for key in range(1, 7)] == [False, False, True, False, True, False]


def test_rows_of_a_dead_sender_are_sent_again_at_once_where_the_operator_says_so(post: Post) -> None:
    post.add(2)
    post.write(sa.update(deliveries).where(deliveries.c.subscriber == 1).values(status="sending", owner="far:1:1:1", lease=NOW))
    with database.writing(post.engine) as connection:
        assert delivery_rows.reap(connection, NOW - 1, reserved=False) == 0, "its lease runs"
    assert post.deliver(Recorder(), settings(on_uncertain="resend")).sent == 2


def test_a_single_slow_domain_among_many_leaves_no_row_behind(post: Post) -> None:
    post.add(90, address=lambda key: f"r{key}@d{key % 7}.example")
    assert post.deliver(Recorder(), settings(domain_rate=50), now=lambda: NOW).sent == 90


def test_an_owner_is_alive_while_its_process_is() -> None:
    me = delivery_rows.new_owner()
    assert delivery_rows.is_alive(me, NOW - 100, NOW) and not delivery_rows.is_alive(me, NOW - delivery_rows.STALLED, NOW)
    assert me != delivery_rows.new_owner(), "two runs are two owners"
    code = "from feeds.newsletter.delivery import delivery_rows; print(delivery_rows.new_owner(), flush=True); input()"
    command = [sys.executable, "-c", code]
    process = forking.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdout and process.stdin
    other = process.stdout.readline().strip()
    assert delivery_rows.is_alive(other, 0, 1)
    process.kill()
    wait_for(lambda: not delivery_rows.is_alive(other, NOW + 99, NOW))  # killed and not yet waited for
    process.communicate()
    assert not delivery_rows.is_alive(other, NOW + 99, NOW)


def test_reserved_rows_of_a_dead_sender_are_sent_in_the_next_run(post: Post) -> None:
    post.add(10)
    dead = f"{delivery_rows.new_owner().rpartition(':')[0]}:x".replace(
        f":{delivery_rows.new_owner().split(':')[1]}:", f":{2**22 - 3}:"
    )
    post.write(sa.update(deliveries).values(owner=dead, lease=NOW + 99))
    assert post.deliver(Recorder()).sent == 10


def test_a_run_that_an_exception_ends_leaves_nothing_in_hand(post: Post) -> None:
    post.add(20)

    class Broken(Recorder):
        async def run(self, source: Any) -> None:
            source.take()
            source.begin(source.take(), lambda _granted: None)
            await source.settled()
            raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        post.deliver(Broken())
    assert post.counts() == {"pending": 19, "uncertain": 1}
    with database.reading(post.engine) as connection:
        assert {row.owner for row in connection.execute(sa.select(deliveries.c.owner))} == {""}


def test_a_database_that_others_hold_for_long_only_delays(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.add(5)
    calls = iter([True, True, False])
    real = database.writing

    def busy(engine: Any, **options: Any) -> Any:
        if options.get("durable") and len(recorder.sent) == 3 and next(calls, False):
            raise sa.exc.OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
        return real(engine, **options)

    recorder = Recorder()
    monkeypatch.setattr(database, "writing", busy)
    assert post.deliver(recorder).sent == 5
    assert len(set(recorder.sent)) == 5 == len(recorder.sent)


def test_a_database_that_breaks_ends_the_run_with_its_own_error(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.add(600)
    real = delivery_rows.claim

    def broken(*what: Any, **options: Any) -> Any:
        if len(server.ids) > 100:
            raise sa.exc.OperationalError("SELECT", {}, Exception("disk I/O error"))
        return real(*what, **options)

    monkeypatch.setattr(delivery_rows, "claim", broken)
    with serving() as server, pytest.raises(sa.exc.OperationalError, match="disk I/O error"):
        post.deliver(smtp(server.url))
    counts = post.counts()
    assert counts["sent"] + counts.get("uncertain", 0) >= len(server.ids) > 100 and "sending" not in counts


def test_whether_there_is_work_is_asked_cheaply_and_right(post: Post) -> None:
    def work(now: int) -> bool:
        with database.reading(post.engine) as connection:
            return issue_status.has_work(connection, now)

    assert not work(NOW)
    post.add(1)
    assert work(NOW)
    post.deliver(Recorder(lambda _message: Outcome("retry", "451", "data")))
    assert not work(NOW) and work(NOW + 60)
    post.write(sa.update(deliveries).values(status="sending", owner="x:1:1:1"))
    assert work(NOW), "its sender may be dead"
    post.write(sa.update(deliveries).values(status="sent"))
    assert work(NOW), "the issue waits to be closed"
    post.deliver(Recorder())
    assert not work(NOW + 10**6)


# -- rates -----------------------------------------------------------------


def test_a_rate_holds_for_a_run_and_outlives_it(post: Post) -> None:
    post.add(20)
    post.write(sa.update(issues).values(planned_at=int(time.time())))
    begun = time.monotonic()
    assert post.deliver(Recorder(), settings(rate=40), now=time.time).sent == 20
    assert time.monotonic() - begun < 1.0, "a second's worth goes at once"
    post.add(40, issue=2)
    post.write(sa.update(issues).values(planned_at=int(time.time())))
    begun = time.monotonic()
    assert post.deliver(Recorder(), settings(rate=40), now=time.time).sent == 40
    assert 0.3 < time.monotonic() - begun < 2.5, "what the run before had used was remembered"


def test_the_rate_of_one_domain_does_not_hold_up_others(post: Post) -> None:
    post.add(40, address=lambda key: f"r{key}@{'slow' if key <= 25 else 'other'}.example")
    stop = threading.Event()

    def answer(message: Message) -> Outcome:
        if len(recorder.sent) == 24:
            stop.set()
        return Outcome("sent")

    recorder = Recorder(answer)
    post.deliver(recorder, settings(domain_rate=10), stop=stop, now=lambda: NOW)
    assert sum(int(id.split(".")[1].split("@")[0]) > 25 for id in recorder.sent) >= 10
    assert all(f"<weekly-1.{key}@example.org>" in recorder.sent for key in range(1, 11))


def test_a_server_has_a_rate_of_its_own(post: Post) -> None:
    post.add(12)
    with serving() as server:
        begun = time.monotonic()
        assert post.deliver(smtp(f"{server.url}&rate=10")).sent == 12
        assert time.monotonic() - begun > 0.15
    with database.reading(post.engine) as connection:
        names = {name for (name,) in connection.execute(sa.select(tables.buckets.c.name))}
    assert names == {f"server:127.0.0.1:{server.port}"}


def test_buckets_are_shared_and_never_give_more_than_the_rate(post: Post) -> None:
    def draw(now: float, wanted: int = 100) -> int:
        with database.writing(post.engine) as connection:
            return throttle.draw_tokens(connection, "all", 10, wanted, now)[0]

    assert [draw(100.0), draw(100.0), draw(100.35), draw(100.4), draw(90.0), draw(90.1), draw(500.0)] == [10, 0, 3, 1, 0, 1, 10]
    with database.writing(post.engine) as connection:
        granted, wait = throttle.draw_tokens(connection, "slow", 0.5, 5, 100.0)
        assert granted == 1 and wait == pytest.approx(2.0)
        assert throttle.draw_tokens(connection, "slow", 0.5, 5, 101.0) == (0, pytest.approx(1.0))


def test_no_limit_asks_no_bucket(post: Post) -> None:
    post.add(3)
    post.deliver(Recorder())
    with database.reading(post.engine) as connection:
        assert connection.execute(sa.select(tables.buckets)).first() is None
