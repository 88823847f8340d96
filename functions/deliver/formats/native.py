"""The payload of mailchute.payload, as it lies on the stream."""

from __future__ import annotations

from .shape import Mail, Shape


def shape(mail: Mail) -> Shape:
    return Shape(body=mail.request.payload, content_type="application/json")
