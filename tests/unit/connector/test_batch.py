"""Batches on the wire."""

from __future__ import annotations

import pytest
from connector.batch import AnswerStream, FunctionAnswer, Malformed, body_of
from hypothesis import given
from hypothesis import strategies as st
from mailchute import wire

ANSWERS = st.lists(
    st.tuples(
        st.integers(0, 70_000),
        st.integers(200, 599),
        st.binary(max_size=70_000),
        st.none() | st.integers(0, 5_000) | st.floats(0, 1e6),
    )
)


@given(ANSWERS, st.integers(1, 200))
def test_answers_are_read_however_the_stream_is_cut(answers: list[tuple[object, ...]], step: int) -> None:
    octets = b"".join(wire.encode(list(answer)) for answer in answers)
    stream = AnswerStream()
    step = max(step, len(octets) // 500)
    read = [
        each for start in range(0, len(octets), step) for each in stream.feed(octets[start : start + step])
    ]
    assert read == [(index, FunctionAnswer(*rest)) for index, *rest in answers]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "octets", [b"<html>", b"\x93\x00\x00\xc0", b"\x94\x00\xa3abc", b"\x94\x00\xcc\xc8\x05"]
)
def test_something_else_is_refused(octets: bytes) -> None:
    with pytest.raises(Malformed):
        list(AnswerStream().feed(octets))


def test_a_batch_is_an_array_of_octets() -> None:
    assert wire.decode(body_of([b"a", b""]), list[bytes]) == [b"a", b""]
