"""How much an alias takes in a minute."""

from dataclasses import replace

import pytest
from mailchute.envelope import Path
from smtp_ingress.board import Board
from smtp_ingress.replies import Refused
from smtp_ingress.settings import Settings
from smtp_ingress.shares import Shares, is_notification, is_verp

from tests.unit.ingress.fakes import snapshot

LIMITS = Settings.read({"MAILCHUTE_HOSTNAME": "mx.test"}).limits
SUPPORT, CATCH_ALL = snapshot("support@inbox.test"), snapshot("*@inbox.test")
ANN = Path("ann", "sender.test")


def made(processes=1, **limits):
    board = Board(processes, clock=lambda: 600.0)
    return [Shares(replace(LIMITS, **limits), board.row(number)) for number in range(processes)]


def taken(shares, name, alias, reverse_path=ANN, *, times=1):
    """Return how many of so many mails were taken."""
    path = Path(name, "inbox.test")
    for done in range(times):
        try:
            shares.check(path, alias, reverse_path)
        except Refused:
            return done
        shares.count([(path, alias)], reverse_path)
    return times


def test_an_alias_takes_its_share_whichever_process_is_asked():
    first, second = made(2, alias_rate=5)
    assert taken(first, "support", SUPPORT, times=3) == 3
    assert taken(second, "support", SUPPORT, times=9) == 2
    assert taken(first, "support", SUPPORT) == 0
    assert taken(first, "other", CATCH_ALL) == 1


def test_recipients_of_the_same_transaction_count():
    (shares,) = made(alias_rate=3)
    path = Path("any", "inbox.test")
    shares.check(path, CATCH_ALL, ANN, waiting=2)
    with pytest.raises(Refused, match=r"^450 4\.7\.1 "):
        shares.check(path, CATCH_ALL, ANN, waiting=3)


def test_to_be_named_uses_nothing_up():
    (shares,) = made(alias_rate=1, backscatter_rate=1)
    for _ in range(9):
        shares.check(Path("any", "inbox.test"), CATCH_ALL, None)


def test_notifications_to_made_up_names_are_limited_and_no_others():
    (shares,) = made(backscatter_rate=4)
    assert taken(shares, "xyzzy", CATCH_ALL, None, times=9) == 4
    assert taken(shares, "xyzzy", CATCH_ALL, Path("MAILER-DAEMON", "mx.test"), times=9) == 0
    assert taken(shares, "xyzzy", CATCH_ALL, times=9) == 9
    assert taken(shares, "support", SUPPORT, None, times=9) == 9
    assert taken(shares, "list+ann=sender.test", CATCH_ALL, None, times=9) == 9


def test_without_limits_everything_is_taken():
    (shares,) = made(backscatter_rate=0)
    assert taken(shares, "xyzzy", CATCH_ALL, None, times=500) == 500


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        ("list-bounces+ann=sender.test", True),
        ("list-return-17-ann=deep.sender.test", True),
        ("Bounce+Ann.B=Sender.TEST", True),
        ("ann", False),
        ("a=b", False),
        ("a==b.test", False),
        ("=sender.test", False),
        ("a=b.t", False),
        ("a=b.test=", False),
        ("x" * 60 + "=" * 100_000, False),
    ],
)
def test_verp_names_another_mailbox(local_part, expected):
    assert is_verp(local_part) is expected


def test_who_speaks_of_another_mail():
    assert is_notification(None)
    assert is_notification(Path("Mailer-Daemon", "mx.test"))
    assert not is_notification(ANN)
