"""A function answers with the status that tells the connector what to do next."""

import json

import msgspec
import pytest
from mailchute import wire
from mailchute.errors import ContentMissing, StorageUnavailable
from mailchute.function import Call, answer


class _Number(msgspec.Struct):
    number: int
    version: int = 1


def _double(value: _Number) -> _Number:
    return _Number(number=value.number * 2)


def test_the_answer_comes_in_the_type_it_was_asked_in():
    packed = answer(Call(body=wire.encode(_Number(21))), _Number, _double)
    assert (packed.status, wire.decode(packed.body, _Number)) == (200, _Number(42))
    text = answer(Call(body=b'{"number": 21}', content_type=wire.JSON), _Number, _double)
    assert (text.content_type, json.loads(text.body)["number"]) == (wire.JSON, 42)


def test_the_answer_comes_in_the_type_that_accept_names():
    given = answer(Call(body=wire.encode(_Number(21)), accept=wire.JSON), _Number, _double)
    assert (given.content_type, json.loads(given.body)["number"]) == (wire.JSON, 42)


def test_a_bare_mail_is_an_input_where_the_function_says_how():
    def from_message(call: Call) -> _Number:
        return _Number(number=len(call.body))

    given = answer(
        Call(body=b"Subject: x\r\n", content_type=wire.MESSAGE), _Number, _double, from_message=from_message
    )
    assert (given.content_type, json.loads(given.body)["number"]) == (wire.JSON, 24)


@pytest.mark.parametrize(
    ("error", "status", "retry_after_s"),
    [(ContentMissing("gone"), 422, None), (StorageUnavailable("S3 is away"), 503, 1.0)],
)
def test_never_is_422_and_not_now_is_503(error, status, retry_after_s):
    def fail(_: _Number) -> None:
        raise error

    given = answer(Call(body=wire.encode(_Number(1))), _Number, fail)
    assert (given.status, given.retry_after_s) == (status, retry_after_s)
    assert json.loads(given.body) == {"error": str(error), "type": type(error).__name__}


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"\xc1", 422), (msgspec.msgpack.encode({"number": 1, "version": 2}), 503)],
)
def test_garbage_is_422_and_a_newer_version_is_503(body, status):
    assert answer(Call(body=body), _Number, _double).status == status
