"""A mail that Outlook packed into a winmail.dat reads as any other."""

from __future__ import annotations

import base64

import pytest

from functions.parse.rtf import RTF_MAX_OCTETS, unpacked_rtf
from tests.corpus.winmail import FILE, HTML, LONG_NAME, PLAN, RTF, winmail
from tests.unit.parse.test_hostile import payload_of

PACKED = bytes.fromhex(  # MS-OXRTFCP, 4.1.1
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
WORLD = rb"{\rtf1\ansi\ansicpg1252\pard hello world}" + b"\r\n"


def test_the_file_is_what_its_maker_says() -> None:
    assert FILE.read_bytes() == winmail()


def test_text_html_and_files_of_a_winmail_dat_are_those_of_the_mail() -> None:
    message = payload_of(
        b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(FILE.read_bytes())
    ).message
    assert message.content.text == "Dear Ada,\nthe plan is attached.\n"
    assert message.content.html == HTML.decode()
    files = {each.filename: each.content for each in message.attachments}
    assert files == {"winmail.dat": FILE.read_bytes(), LONG_NAME: PLAN, "message.rtf": RTF}


@pytest.mark.parametrize("cut", [0, 5, 16, 30])
def test_packed_rtf_is_unpacked_as_far_as_it_goes(cut: int) -> None:
    assert unpacked_rtf(PACKED) == WORLD
    assert WORLD.startswith(unpacked_rtf(PACKED[:cut]))


def test_rtf_that_would_be_too_large_is_left_in_its_file() -> None:
    assert unpacked_rtf(PACKED[:4] + (RTF_MAX_OCTETS + 1).to_bytes(4, "little") + PACKED[8:]) == b""
    assert unpacked_rtf(b"\0" * 16) == b""
