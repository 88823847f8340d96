"""`/d/<token>`: a link that outlives what S3 signs, and opens one object until one moment."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from mailchute.downloads import PATH, LinkEnded, key_of, token_of
from mailchute.sealing import Keyring

from tests.functions.conftest import Api
from tests.unit.record.test_fold import BEGIN

RING = Keyring((b"k" * 32,))
END = BEGIN + timedelta(days=30)


def test_a_link_leads_to_a_url_that_is_signed_afresh(api: Api) -> None:
    token = token_of(RING, "sto_1/msg_1/0", END)
    for method in ("GET", "HEAD"):
        answer = api.client.open(f"{PATH}{token}", method=method)
        assert answer.status_code == 302
        assert answer.headers["Location"] == "https://s3.example/sto_1/msg_1/0?X-Amz-Expires=300"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    api.attachments.deleted.append("sto_1/msg_1/0")
    assert api.client.get(f"{PATH}{token}").status_code == 410


def test_a_link_that_has_ended_is_gone_and_one_that_is_not_ours_is_nowhere(api: Api) -> None:
    ended = token_of(RING, "msg_1/0", BEGIN)
    assert api.client.get(f"{PATH}{ended}").status_code == 410
    token = token_of(RING, "msg_1/0", END)
    for wrong in (
        token[:-1],
        token + "A",
        token[:8] + ("A" if token[8] != "A" else "B") + token[9:],
        token_of(Keyring((b"x" * 32,)), "msg_1/0", END),
        "x",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "é",
        "A" * 5_000,
        base64.urlsafe_b64encode(b"msg_1/0").decode(),
    ):
        assert api.client.get(f"{PATH}{wrong}").status_code == 404, wrong
    for path in (PATH, f"{PATH}{token}/x", f"{PATH}../api/v1/emails"):
        assert api.client.get(path).status_code == 404
    assert api.client.post(f"{PATH}{token}").status_code == 405


def test_every_bit_of_a_token_counts() -> None:
    token = token_of(RING, "msg_1/0", END)
    octets = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for place in range(len(octets) * 8):
        octets[place // 8] ^= 1 << place % 8
        altered = base64.urlsafe_b64encode(bytes(octets)).decode().rstrip("=")
        with pytest.raises(ValueError, match="no token of ours"):
            key_of(RING, altered, BEGIN)
        octets[place // 8] ^= 1 << place % 8
    assert key_of(RING, token, BEGIN) == "msg_1/0"


def test_a_link_lives_through_a_new_master_key_and_to_its_last_second() -> None:
    token = token_of(RING, "msg_1/0", END)
    rotated = Keyring((b"n" * 32, b"k" * 32))
    assert key_of(rotated, token, END - timedelta(seconds=1)) == "msg_1/0"
    with pytest.raises(LinkEnded):
        key_of(rotated, token, END)
    with pytest.raises(ValueError, match="no token of ours"):
        key_of(Keyring((b"n" * 32,)), token, BEGIN)
