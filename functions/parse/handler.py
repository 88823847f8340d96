"""parse: octets → payload; what is large → S3; then the alias's rules."""

from __future__ import annotations

import os

from mailchute import wire
from mailchute.errors import PermanentError, TransientError
from mailchute.function import NEVER, NOT_NOW, RETRY_AFTER_S, Answer, Call, failure
from mailchute.parsed import ParseAnswer, ParseRequest
from mailchute.settings import Reader

from .parser import Parser
from .person import request_of
from .settings import Settings

CONCURRENCY = 32  # more than workers: some wait for S3
PUBLIC = True

_parser: Parser | None = None


def start() -> None:
    """Read the settings and fork the workers. Raises BadSetting."""
    global _parser  # noqa: PLW0603 - the host knows functions as modules
    _parser = Parser(Settings.read(Reader(os.environ)))
    _parser.start()


def stop() -> None:
    """End the workers."""
    if _parser is not None:
        _parser.stop()


def handle(call: Call) -> Answer:
    """Answer one call: ParseAnswer for our own parts, the payload itself for a person with a bare mail."""
    assert _parser is not None, "start() comes first"
    try:
        if call.content_type == wire.MESSAGE:
            answer = _parser.parse(wire.encode(request_of(call)))
            return Answer(status=200, body=wire.decode(answer, ParseAnswer).payload, content_type=wire.JSON)
        is_json = call.content_type == wire.JSON
        body = wire.encode(wire.decode_json(call.body, ParseRequest)) if is_json else call.body
        answer = _parser.parse(body)
    except PermanentError as error:
        return failure(NEVER, error)
    except TransientError as error:
        return failure(NOT_NOW, error, retry_after_s=RETRY_AFTER_S)
    if (call.accept or call.content_type) == wire.JSON:
        return Answer(
            status=200, body=wire.encode_json(wire.decode(answer, ParseAnswer)), content_type=wire.JSON
        )
    return Answer(status=200, body=answer)
