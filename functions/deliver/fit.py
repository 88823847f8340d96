"""A body within the endpoint's limit: the largest attachments are left out, and said to be, until it fits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
from mailchute.alias import RAW_FORMATS
from mailchute.payload import Payload
from msgspec import UNSET

from .faults import EndpointFault
from .formats import Mail, Shape

BASE64_SHARE = 0.75  # octets of content in one octet of base64


class BodyTooLarge(EndpointFault):
    """Even without any attachment the body is over the limit: no attempt can succeed."""


def fitted(shape: Callable[[Mail], Shape], mail: Mail) -> Shape:
    """
    Return the shape of this mail, with as many of its attachments as the endpoint's limit allows.

    Formats that carry the mail as received are left alone: a mail with a part cut out is another mail,
    and the SMTP edge has limited it already.

    Raises:
        BodyTooLarge: It does not fit.
    """
    made, limit = shape(mail), mail.endpoint.body_limit_octets
    while len(made.body) > limit and mail.endpoint.format not in RAW_FORMATS:
        excess = len(made.body) - limit
        slimmed = _without_largest(mail.payload, int(excess * BASE64_SHARE))
        if slimmed is None:
            raise BodyTooLarge(
                f"the body is {excess} octets over the endpoint's limit of {limit}; raise it, or include less"
            )
        mail = dataclasses.replace(mail, slimmed=slimmed)
        made = shape(mail)
    return made


def _without_largest(payload: Payload, octets: int) -> Payload | None:
    """Return the payload without its largest attachments, `octets` less at least; None when it has none."""
    attachments = list(payload.message.attachments)
    held = [index for index, one in enumerate(attachments) if one.content is not UNSET]
    held.sort(key=lambda index: attachments[index].size, reverse=True)
    if not held:
        return None
    for index in held:
        one = attachments[index]
        attachments[index] = msgspec.structs.replace(
            one, content=UNSET, status="excluded", exclude_reason="body-limit"
        )
        octets -= one.size
        if octets <= 0:
            break
    message = msgspec.structs.replace(payload.message, attachments=tuple(attachments))
    return msgspec.structs.replace(payload, message=message)
