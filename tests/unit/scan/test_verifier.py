"""What dkimpy is given in place of what it would have made itself is the same, octet for octet."""

from __future__ import annotations

from dkim import RE_BTAG
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from functions.scan.message import Message, relaxed
from functions.scan.verifier import without_b

PIECES = b"\r\n ,\r\n\t, ,\t,  ,a,b,=,;,\r,\x0b,\xff,b=,bh=".split(b",")
pieces = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


@given(pieces, st.sampled_from([b"X-Y", b"from ", b"DKIM-Signature"]))
def test_a_relaxed_field_is_dkimpys(value: bytes, name: bytes) -> None:
    field = (name, value + b"\r\n")
    assert [relaxed(name.lower().rstrip(), field[1])] == Relaxed.canonicalize_headers([field])


@given(pieces)
def test_a_signature_without_its_value_is_dkimpys(value: bytes) -> None:
    assert without_b(value + b"\r\n") == RE_BTAG.sub(b"\\1", value + b"\r\n")
    assert without_b(value) == RE_BTAG.sub(b"\\1", value)
    assert RE_BTAG.sub(b"\\1", without_b(value)) == without_b(value)


@given(pieces)
def test_a_relaxed_signature_without_its_value_is_dkimpys(value: bytes) -> None:
    field = (b"DKIM-Signature", value + b"\r\n")
    theirs = Relaxed.canonicalize_headers([(field[0], RE_BTAG.sub(b"\\1", field[1]))])
    ours = relaxed(b"dkim-signature", without_b(field[1]))
    assert [ours] == theirs
    # dkimpy hashes it without the white space at its end
    assert RE_BTAG.sub(b"\\1", ours[1]).rstrip() == theirs[0][1].rstrip()


def test_every_line_end_of_a_field_is_a_crlf() -> None:
    """relaxed() rests on it."""
    message = Message(b"A: x\n y\r\n z\nB: q\r\r\n\r\n", "", "", None)
    assert message.fields == [(b"A", b" x\r\n y\r\n z\r\n"), (b"B", b" q\r\r\n")]
