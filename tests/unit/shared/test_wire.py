"""What one part writes another reads; what it cannot read it refuses the right way."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from mailchute import wire
from mailchute.errors import NewerVersion, PermanentError, TransientError, Undecodable
from mailchute.journal import Event, JournalBatch
from mailchute.verdicts import ScanReport

BATCH = JournalBatch(
    events=(
        Event(
            id="evt_1",
            kind="accepted",
            at=datetime(2026, 11, 21, 9, 0, tzinfo=UTC),
            mail_id="msg_1",
            account_id="acc_1",
            domain_id="dom_1",
            alias_id="als_1",
        ),
    )
)


@pytest.mark.parametrize("value", [BATCH, ScanReport()])
def test_a_value_survives_both_encodings(value):
    assert wire.decode(wire.encode(value), type(value)) == value
    assert wire.decode_json(wire.encode_json(value), type(value)) == value


def test_json_is_the_same_octets_each_time():
    assert wire.encode_json(BATCH) == wire.encode_json(BATCH)


class _Octets(msgspec.Struct):
    content: bytes


def test_octets_stay_octets_in_messagepack_and_are_base64_in_json():
    value = _Octets(content=bytes(range(256)))
    assert bytes(range(256)) in wire.encode(value)
    assert json.loads(wire.encode_json(value))["content"].startswith("AAECAw")


def test_a_field_of_a_newer_minor_release_is_ignored():
    octets = msgspec.msgpack.encode({"version": 1, "events": [], "colour": "blue"})
    assert wire.decode(octets, JournalBatch) == JournalBatch(events=())


@pytest.mark.parametrize(
    "octets",
    [
        msgspec.msgpack.encode({"version": 2, "events": []}),
        msgspec.msgpack.encode({"version": 2, "events": "another shape"}),
    ],
)
def test_a_newer_version_is_for_later_even_when_its_shape_is_unknown(octets):
    with pytest.raises(NewerVersion) as caught:
        wire.decode(octets, JournalBatch)
    assert isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xc1",
        b"\x00garbage",
        b"\x91" * 100_000,  # nested deeper than any stack
        msgspec.msgpack.encode({"version": 0, "events": []}),
        msgspec.msgpack.encode({"version": 1}),
        msgspec.msgpack.encode({"version": 1, "events": [{"id": "evt_1"}]}),
    ],
)
def test_what_is_no_such_value_is_refused_for_good(octets):
    with pytest.raises(Undecodable) as caught:
        wire.decode(octets, JournalBatch)
    assert isinstance(caught.value, PermanentError)
