"""The canonical body hash, against dkimpy's own canonicalisation."""

from __future__ import annotations

import hashlib

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from functions.scan.body import CHUNK_OCTETS, Body

ODD = [
    b"",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b"text",
    b"text\r\n",
    b"text\r\n\r\n\r\n",
    b" \r\n",
    b" \t \r\n \r\n",
    b"a  b\t c \r\n d\r\n\r\n",
    b"a\r",
    b"a\r\r\n\r\n",
    b"\r\r\n",
    b"a\r \r\n\r\n",
    b"\ta\r\n",
    b"  ",
    b"a \r\n \r\n\t\r\n",
]


def oracle(body: bytes, *, is_relaxed: bool) -> bytes:
    canonical: bytes = (Relaxed if is_relaxed else Simple).canonicalize_body(body)
    return canonical


def check(body: bytes, *, is_relaxed: bool, length: int | None = None) -> None:
    expected = oracle(body, is_relaxed=is_relaxed)
    prefix = b"Head: er\r\n\r\n"
    digest, octets = Body(prefix + body, len(prefix)).digest(is_relaxed=is_relaxed, length=length)
    assert octets == len(expected)
    assert digest == hashlib.sha256(expected[:length]).digest()


@pytest.mark.parametrize("is_relaxed", [True, False], ids=["relaxed", "simple"])
@pytest.mark.parametrize("body", ODD, ids=repr)
def test_odd_bodies_hash_as_dkimpy_hashes_them(body: bytes, *, is_relaxed: bool) -> None:
    check(body, is_relaxed=is_relaxed)


@given(
    st.lists(st.sampled_from([b"a", b" ", b"  ", b"\t", b"\r\n", b"\r\n\r\n", b"word", b"\r"])).map(b"".join),
    st.booleans(),
    st.none() | st.integers(0, 30),
)
def test_any_body_hashes_as_dkimpy_hashes_it(body: bytes, is_relaxed: bool, length: int | None) -> None:
    check(body, is_relaxed=is_relaxed, length=length)


@pytest.mark.parametrize("is_relaxed", [True, False])
def test_white_space_across_chunks_is_seen(*, is_relaxed: bool) -> None:
    line = b"x" * 997 + b" \t\r\n"
    check(line * (3 * CHUNK_OCTETS // len(line)) + b"   \r\n\r\n", is_relaxed=is_relaxed)


def test_bare_line_feeds_are_line_ends() -> None:
    assert Body(b"a\nb\n\n", 0).digest(is_relaxed=False) == Body(b"a\r\nb\r\n\r\n", 0).digest(
        is_relaxed=False
    )


@pytest.mark.parametrize("flood", [b" ", b"\t ", b"\r\n", b" \r\n", b"\r", b"a  "], ids=repr)
def test_a_hostile_body_takes_linear_time(flood: bytes) -> None:
    """dkimpy's own expressions are quadratic here: they would run into the suite's time limit."""
    body = Body(flood * (8_000_000 // len(flood)), 0)
    assert body.digest(is_relaxed=True)[1] <= 8_000_002
