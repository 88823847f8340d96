"""Who may come in, and how much of it."""

import asyncio

import pytest
from smtp_ingress.admission import ROOM_WAIT_S, Admission, network_of
from smtp_ingress.board import Board
from smtp_ingress.replies import Refused
from smtp_ingress.room import room_of
from smtp_ingress.settings import Settings


def admission(row, sleep=None, **settings):
    limits = Settings.read({f"MAILCHUTE_{name}": value for name, value in settings.items()}).limits
    return Admission(limits, row, hostname="mx.test", **({"sleep": sleep} if sleep else {}))


def test_networks_are_counted_by_24_and_64():
    assert network_of("192.0.2.1") == network_of("192.0.2.254") != network_of("192.0.3.1")
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")


def test_a_network_has_its_share_and_no_more():
    board = Board(2)
    one, other = (admission(board.row(number), MAX_CONNECTIONS_PER_NETWORK="2") for number in range(2))
    network = one.network("203.0.113.1")
    one.enter(network)
    other.enter(network)
    with pytest.raises(Refused, match=r"421 4\.7\.0"):
        one.enter(network)
    one.leave(network)  # the one refused
    other.leave(network)
    one.enter(network)


def test_a_network_that_guesses_is_sent_away_from_all_processes():
    board = Board(2, clock=lambda: 600.0)
    one, other = (admission(board.row(number), MAX_UNKNOWN_PER_NETWORK_MINUTE="3") for number in range(2))
    network, neighbour = one.network("203.0.113.1"), one.network("203.0.114.1")
    for each in (one, other, one):
        each.check_guesses(network)
        each.count_guess(network)
    for each in (one, other):
        with pytest.raises(Refused, match=r"421 4\.7\.0 mx\.test too many addresses"):
            each.check_guesses(network)
    one.check_guesses(neighbour)
    one.count_guess(None)
    one.check_guesses(None)
    unlimited = admission(Board(1).row(0), MAX_UNKNOWN_PER_NETWORK_MINUTE="0")
    for _ in range(500):
        unlimited.count_guess(network)
    unlimited.check_guesses(network)


def test_loopback_is_not_counted_per_network():
    assert admission(Board(1).row(0)).network("127.0.0.1") is None


def test_memory_is_waited_for_and_then_refused():
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    row = Board(1).row(0)
    inside = admission(row, sleep, MEMORY_OCTETS=str(4 * 1024 * 1024))
    asyncio.run(inside.reserve(3 * 1024 * 1024))
    with pytest.raises(Refused, match=r"452 4\.3\.1"):
        asyncio.run(inside.reserve(2 * 1024 * 1024))
    assert sum(slept) == pytest.approx(ROOM_WAIT_S, abs=0.1)
    inside.release(3 * 1024 * 1024)
    asyncio.run(inside.reserve(2 * 1024 * 1024))
    assert row.held("octets") == 2 * 1024 * 1024


def test_one_mail_alone_always_finds_room():
    inside = admission(Board(1).row(0), MEMORY_OCTETS=str(4 * 1024 * 1024))
    asyncio.run(inside.reserve(40 * 1024 * 1024))


def test_a_process_under_stress_knows_it():
    inside = admission(Board(1).row(0), MAX_CONNECTIONS="10")
    for _ in range(8):
        inside.enter(None)
    assert not inside.is_stressed
    inside.enter(None)
    assert inside.is_stressed


@pytest.mark.parametrize("recipients", [1, 2, 10, 100])
@pytest.mark.parametrize("declared", [None, 0, 5_000, 700_000, 25_000_000])
def test_no_mail_takes_more_room_than_a_small_part_of_the_budget(declared, recipients):
    room = room_of(declared, recipients, content_limit_octets=704 * 1024)
    assert 0 < room.held_octets <= 704 * 1024
    assert room.reserved_octets <= 40 * 1024 * 1024
    assert room.window >= 1


def test_a_small_mail_takes_little_room():
    assert room_of(5_000, 1, content_limit_octets=704 * 1024).reserved_octets < 32 * 1024
