"""A change in one transaction, which a request that comes again with its Idempotency-Key does not repeat."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import flask
import msgspec
from mailchute import wire
from mailchute.store import kept_answers
from mailchute.store.refusals import Needed, OverPlan, Taken
from sqlalchemy.exc import IntegrityError

from .operation import Operation, Request
from .problem import Problem

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an operation is answered with."""

    status: int
    body: str  # JSON; "" where there is none
    location: str | None = None  # below /api/v1
    is_repeated: bool = False

    @classmethod
    def of(cls, one: Operation, answer: Any) -> Outcome:
        location = one.created.format(id=answer.id) if one.created and hasattr(answer, "id") else None
        body = "" if one.answers is None else wire.encode_json(answer).decode()
        return cls(status=one.status, body=body, location=location)


def carried_out(one: Operation, request: Request, octets: bytes, key: str | None) -> Outcome:
    """
    Return what came of the change, or what came of it when it was asked the first time.

    Args:
        octets: Of the body, as it came.
        key: Of the field Idempotency-Key; None: the change is carried out each time.

    Raises:
        Problem: 400, the key is none; 422, it was used for something else; or what the change says.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise Problem(400, "Idempotency-Key: expected 1 to 255 characters of ASCII, such as a UUID")
    assert one.change is not None, "only a change can be repeated"
    services, account_id = request.services, request.account_id
    try:
        if one.before is not None:
            one.before(request)
        with services.database.write() as connection:
            if key is None:
                return Outcome.of(one, one.change(request, connection))
            sealer, digest = services.sealer(connection), _digest_of(one, request, octets)
            kept = kept_answers.begin(
                connection, account_id=account_id, key=key, request_digest=digest, now=request.now,
                sealer=sealer,
            )  # fmt: skip
            if kept is not None:
                if kept.request_digest != digest:
                    raise Problem(422, "Idempotency-Key: it was used for another request; make a new one")
                return Outcome(status=kept.status, body=kept.body, location=kept.location, is_repeated=True)
            outcome = Outcome.of(one, one.change(request, connection))
            kept_answers.finish(
                connection, account_id=account_id, key=key, status=outcome.status,
                location=outcome.location, body=outcome.body, sealer=sealer,
            )  # fmt: skip
            return outcome
    except (Taken, Needed) as error:
        raise Problem(409, str(error)) from None
    except OverPlan as error:
        raise Problem(403, str(error)) from None
    except IntegrityError:  # of the same name, a moment earlier
        raise Problem(409, "another request made one of this name at the same time") from None


def _digest_of(one: Operation, request: Request, octets: bytes) -> str:
    asked = (one.method, one.path, request.path, flask.request.query_string.decode("latin-1"))
    return hashlib.sha256(msgspec.json.encode(asked) + b"\x00" + octets).hexdigest()
