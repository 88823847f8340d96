"""What the owner of an alias refuses."""

from datetime import UTC, datetime

import pytest
from mailchute.blocks import Blocks
from mailchute.envelope import Path
from mailchute.quota import Quota
from mailchute.standing import Standing
from smtp_ingress.owner import check_standing
from smtp_ingress.replies import Refused

NOW = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
BLOCKS = Blocks([("network", "192.0.2.0/24"), ("domain", "spam.test")])


def standing(*, is_fresh=True, **quota):
    return Standing(
        account_id="acc_1", blocks=BLOCKS, quota=Quota(month="2026-11", **quota), is_fresh=is_fresh
    )


def reply(given, *, ip="203.0.113.1", sender="ann@sender.test", declared=None, now=NOW):
    try:
        check_standing(
            given,
            client_ip=ip,
            reverse_path=Path.parse(sender) if sender else None,
            declared_octets=declared,
            now=now,
        )
    except Refused as refused:
        return refused.reply[:9]
    return "taken"


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        ("fresh", {}, "taken"),
        ("fresh", {"ip": "192.0.2.9"}, "550 5.7.1"),
        ("fresh", {"sender": "a@deep.spam.test"}, "550 5.7.1"),
        ("fresh", {"sender": ""}, "taken"),
        ("fresh", {"sender": "", "ip": "192.0.2.9"}, "550 5.7.1"),
        ("stale", {}, "taken"),
        ("stale", {"ip": "192.0.2.9"}, "451 4.3.0"),
        ("stale", {"sender": "a@spam.test"}, "451 4.3.0"),
        ("unknown", {"ip": "192.0.2.9"}, "taken"),
    ],
)
def test_who_is_on_the_list_is_refused_for_good_only_by_a_list_read_now(given, asked, expected):
    known = {"fresh": standing(), "stale": standing(is_fresh=False), "unknown": None}
    assert reply(known[given], **asked) == expected


@pytest.mark.parametrize(
    ("quota", "asked", "expected"),
    [
        ({"mail_count": 99, "mails_per_month": 100}, {}, "taken"),
        ({"mail_count": 100, "mails_per_month": 100}, {}, "452 4.2.2"),
        ({"mail_count": 0, "mails_per_month": 0}, {}, "452 4.2.2"),
        ({"mail_count": 10**9}, {}, "taken"),
        ({"mail_count": 100, "mails_per_month": 100}, {"now": DECEMBER}, "taken"),
        ({"size_max_octets": 1000}, {"declared": 1000}, "taken"),
        ({"size_max_octets": 1000}, {"declared": 1001}, "552 5.3.4"),
        ({"size_max_octets": 1000}, {}, "taken"),
    ],
)
def test_a_plan_refuses_what_is_over_it(quota, asked, expected):
    assert reply(standing(**quota), **asked) == expected
    assert reply(standing(is_fresh=False, **quota), **asked) == "taken"


def test_a_plans_size_is_still_to_be_seen_where_the_client_did_not_say_it():
    def limit(given, declared):
        return check_standing(
            given, client_ip="203.0.113.1", reverse_path=None, declared_octets=declared, now=NOW
        )

    assert limit(standing(size_max_octets=1000), None) == 1000
    assert limit(standing(size_max_octets=1000), 10) is None
    assert limit(standing(), None) is None
    assert limit(standing(size_max_octets=1000, is_fresh=False), None) is None
    assert limit(None, None) is None
