"""
The shapes a mail can be POSTed in, one module each: `native`, and those of peers whose receivers exist.

Each module has `shape(mail: Mail) -> Shape`. The octets of a Shape are what is signed and sent.
"""

from __future__ import annotations

from collections.abc import Callable

from mailchute.alias import Format

from . import (
    cloudmailin,
    forwardemail,
    mailersend,
    mailgun,
    mailgun_mime,
    native,
    postal,
    postmark,
    rfc822,
    sendgrid,
)
from .shape import Mail, Shape

SHAPES: dict[Format, Callable[[Mail], Shape]] = {
    "native": native.shape,
    "postmark": postmark.shape,
    "mailgun": mailgun.shape,
    "mailgun-mime": mailgun_mime.shape,
    "sendgrid": sendgrid.shape,
    "cloudmailin": cloudmailin.shape,
    "mailersend": mailersend.shape,
    "postal": postal.shape,
    "forwardemail": forwardemail.shape,
    "rfc822": rfc822.shape,
}

__all__ = ["SHAPES", "Mail", "Shape"]
