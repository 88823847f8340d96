"""The payload of mailchute.payload, as it lies on the stream where the endpoint wants all of it."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from mailchute import wire
from mailchute.errors import Undecodable
from mailchute.eventlog import event_log

from .parts import DEFAULT, keep, parts_of
from .shape import Mail, Shape

JSON = "application/json"
EXTRA_NAMES = (b'"htmlSafe"', b'"htmlClean"', b'"received"')

log = event_log("deliver")


def shape(mail: Mail) -> Shape:
    octets, parts = mail.octets, parts_of(mail.endpoint.include)
    # Another endpoint of the alias may have asked for what this one did not.
    if parts == DEFAULT and not any(name in octets for name in EXTRA_NAMES):
        return Shape(body=octets, content_type=JSON)
    try:
        payload: dict[str, Any] = msgspec.json.decode(octets)
        keep(payload, parts)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise Undecodable("the payload is not as mailchute.payload has it") from error
    if "raw" in parts and mail.request.raw is None:
        # A caller of an older release: the mail without a part of it beats no mail.
        log.warning("raw-not-brought", endpoint_id=mail.endpoint.id, mail_id=mail.request.delivery.mail_id)
    elif "raw" in parts:
        payload["raw"] = base64.b64encode(mail.raw).decode()
    return Shape(body=wire.encode_json(payload), content_type=JSON)
