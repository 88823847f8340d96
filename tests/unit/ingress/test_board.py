"""What several processes count together."""

from smtp_ingress.board import Board


class Clock:
    def __init__(self):
        self.now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


def test_a_gauge_is_the_sum_of_all_rows():
    board = Board(3)
    board.row(0).hold("octets", 5)
    board.row(2).hold("octets", 7)
    assert board.row(1).held("octets") == 12


def test_what_a_dead_process_held_is_given_back_and_what_it_counted_stays():
    board = Board(2)
    board.row(0).hold("connections", 3)
    board.row(0).join(b"\xc0\x00\x02")
    board.row(0).count("accepted", 4)
    board.vacate(0)
    assert board.row(1).held("connections") == 0
    assert board.row(1).join(b"\xc0\x00\x02") == 1
    assert board.row(1).counted("accepted") == 4


def test_a_rate_is_of_the_last_minute_over_all_processes():
    clock = Clock()
    clock.now_s -= clock.now_s % 60
    board = Board(2, clock=clock)
    assert [board.row(number % 2).tick(b"a") for number in range(4)] == [1, 2, 3, 4]
    assert board.row(0).tick(b"b") == 1
    clock.now_s += 60
    assert board.row(0).tick(b"a") == 5  # all four are still within the last minute
    clock.now_s += 30
    assert board.row(1).tick(b"a") == 2 + 4 * 0.5
    clock.now_s += 120
    assert board.row(0).tick(b"a") == 1
