"""Header fields that are parsed again by somebody else."""

from __future__ import annotations

from email.headerregistry import AddressHeader
from email.policy import default
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some
from mailchute.payload import HeaderField, Mailbox

from functions.deliver.formats.fields import fields_of, mailbox_text, mailboxes_text
from tests.unit.deliver.given import PAYLOAD


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (None, "a@b.test"),
        ("", "a@b.test"),
        ("Ann", "Ann <a@b.test>"),
        ("Ann Example", "Ann Example <a@b.test>"),
        ("Jürgen", "Jürgen <a@b.test>"),
        ("Doe, Jane", '"Doe, Jane" <a@b.test>'),
        ('The "Boss"', '"The \\"Boss\\"" <a@b.test>'),
        ("boss@corp.test>", '"boss@corp.test>" <a@b.test>'),
        ("a\r\nBcc: x@y.test", '"a Bcc: x@y.test" <a@b.test>'),
        ("back\\slash", '"back\\\\slash" <a@b.test>'),
    ],
)
def test_a_name_is_quoted_where_it_could_be_anything_else(name: str | None, text: str) -> None:
    assert mailbox_text(Mailbox(name=name, email="a@b.test")) == text


@pytest.mark.parametrize(
    ("email", "text"),
    [
        ("Big Bug@b.test", '"Big Bug"@b.test'),
        ('"Big Bug"@b.test', '"Big Bug"@b.test'),
        ("a,c@d.test,e@b.test", '"a,c@d.test,e"@b.test'),
        ('a"b@b.test', '"a\\"b"@b.test'),
        ("..a@b.test", "..a@b.test"),
        ("ü@bücher.test", "ü@bücher.test"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@b.test>, x@y.test", '"a@b.test>, x"@y.test'),
        ("a@b .test", '"a@b .test"'),
        ("nobody", '"nobody"'),
        ("", ""),
    ],
)
def test_an_address_reads_as_one_however_broken_it_was(email: str, text: str) -> None:
    assert mailbox_text(Mailbox(name=None, email=email)) == text
    if text:
        assert mailbox_text(Mailbox(name="Ann", email=email)) == f"Ann <{text}>"


@given(some.lists(some.text(some.characters(min_codepoint=32, max_codepoint=126)), max_size=3))
def test_whatever_the_names_are_the_addresses_stay_as_they_were(names: list[str]) -> None:
    boxes = tuple(Mailbox(name=name, email=f"a{index}@b.test") for index, name in enumerate(names))
    header: Any = default.header_factory("To", mailboxes_text(boxes))
    assert isinstance(header, AddressHeader)
    assert [address.addr_spec for address in header.addresses] == [box.email for box in boxes]


def fields(*pairs: tuple[str, str], **options: Any) -> list[tuple[str, str]]:
    headers = tuple(HeaderField(name=name, value=value) for name, value in pairs)
    return fields_of(msgspec.structs.replace(PAYLOAD.message, headers=headers), **options)


def test_addresses_come_from_what_was_parsed_and_not_from_decoded_text() -> None:
    assert fields(("From", "boss@corp.test, <ann@sender.test>")) == [
        ("From", "Ann Example <ann@sender.test>")
    ]


def test_an_address_field_that_was_not_understood_is_shown_as_it_is() -> None:
    assert fields(("Cc", "nobody")) == [("Cc", "nobody")]


def test_of_a_field_that_may_stand_once_the_first_is_shown() -> None:
    assert fields(("Subject", "a"), ("subject", "b"), ("X", "1"), ("X", "2")) == [
        ("Subject", "a"),
        ("X", "1"),
        ("X", "2"),
    ]


def test_a_value_is_one_line() -> None:
    assert fields(("X", "a\r\n b\x00\nc")) == [("X", "a b c")]


def test_fields_are_left_out_by_name_and_by_prefix() -> None:
    assert fields(("X-Ours-A", "1"), ("Y", "2"), ("Z", "3"), prefix="x-ours-", without={"y"}) == [("Z", "3")]
