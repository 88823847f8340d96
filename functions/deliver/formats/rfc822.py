"""The mail itself, as a relay hands it to Action Mailbox (POST …/action_mailbox/relay/inbound_emails)."""

from __future__ import annotations

import base64

from .fields import one_line
from .shape import Mail, Shape

USER = "actionmailbox"


def shape(mail: Mail) -> Shape:
    """
    Return our trace fields and the mail as received; without basic_auth the secret is the password.

    X-Original-To names the recipient, so that Action Mailbox routes a mail that names it nowhere.
    """
    recipient = one_line(mail.payload.envelope.rcpt_to)
    fields = []
    has_own = mail.endpoint.basic_auth or any(n.lower() == "authorization" for n, _ in mail.endpoint.headers)
    if not has_own and mail.secret:
        credentials = base64.b64encode(f"{USER}:{mail.secret}".encode()).decode()
        fields.append(("Authorization", f"Basic {credentials}"))
    return Shape(
        body=mail.trace + f"X-Original-To: {recipient}\r\n".encode() + mail.raw,
        content_type="message/rfc822",
        fields=tuple(fields),
    )
