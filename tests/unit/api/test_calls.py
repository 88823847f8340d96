"""An attempt meets who listens, or is told at once that nobody does."""

from __future__ import annotations

import threading

from functions.api.calls import CALLS_MAX_COUNT, Calls, Reply, WaitingCall

FIELDS = (("webhook-id", "msg_1"),)


def offered(calls: Calls, body: bytes = b"{}") -> tuple[threading.Thread, list[Reply]]:
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(calls.offer("tok", FIELDS, body)))
    thread.start()
    return thread, replies


def taken(calls: Calls) -> WaitingCall:
    call = calls.next("tok", 30)
    assert call is not None
    return call


def test_a_call_is_handed_to_one_and_gets_the_answer_it_gives() -> None:
    calls = Calls(answer_s=60)
    assert calls.next("tok", 0) is None
    thread, replies = offered(calls, b"octets")
    call = taken(calls)
    assert (call.fields, call.body) == (FIELDS, b"octets")
    assert calls.next("tok", 0) is None
    assert not calls.answer("other", call.id, Reply(status=200))
    assert calls.answer("tok", call.id, Reply(status=503, body="later", retry_after_s=7))
    assert not calls.answer("tok", call.id, Reply(status=200))
    thread.join()
    assert replies == [Reply(status=503, body="later", retry_after_s=7)]


def test_nobody_listening_is_said_at_once_and_no_answer_in_the_end() -> None:
    calls = Calls(answer_s=0.05)
    assert calls.offer("tok", FIELDS, b"").status == 503
    calls.next("tok", 0)
    assert calls.offer("tok", FIELDS, b"").status == 504
    call = calls.next("tok", 0)
    assert call is None  # it is not kept: it comes again by the schedule


def test_a_listener_that_went_away_is_forgotten() -> None:
    now = [0.0]
    calls = Calls(clock=lambda: now[0], answer_s=0.05)
    calls.next("tok", 0)
    now[0] = 4.9
    assert calls.offer("tok", FIELDS, b"").status == 504
    now[0] = 10.1
    assert calls.offer("tok", FIELDS, b"").status == 503


def test_no_more_wait_at_once_than_may_and_what_ends_makes_room() -> None:
    calls = Calls(answer_s=60)
    calls.next("tok", 0)
    waiting = [offered(calls) for _ in range(CALLS_MAX_COUNT)]
    all_of_them = [taken(calls) for _ in range(CALLS_MAX_COUNT)]
    assert calls.offer("tok", FIELDS, b"").retry_after_s == 1
    for call in all_of_them:
        assert calls.answer("tok", call.id, Reply(status=200))
    for thread, replies in waiting:
        thread.join()
        assert [one.status for one in replies] == [200]
    thread, replies = offered(calls)
    assert calls.answer("tok", taken(calls).id, Reply(status=201))
    thread.join()
    assert replies[0].status == 201


def test_who_left_is_handed_nothing_and_nobody_waits_for_them() -> None:
    calls = Calls(answer_s=60)
    asked: list[WaitingCall | None] = []
    gone = threading.Thread(target=lambda: asked.append(calls.next("tok", 60)))
    calls.next("tok", 0)
    gone.start()
    while calls.asking_count("tok") == 0:
        gone.join(0.01)
    calls.dismiss("tok")
    gone.join()
    assert asked == [None]
    assert calls.offer("tok", FIELDS, b"").status == 503
    calls.next("tok", 0)
    thread, replies = offered(calls)
    assert calls.answer("tok", taken(calls).id, Reply(status=200))
    thread.join()
    assert replies[0].status == 200
