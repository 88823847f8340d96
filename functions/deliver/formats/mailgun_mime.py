"""Mailgun's route action forward() to a URL that ends in "mime": the mail as received in one field."""

from __future__ import annotations

from .form import urlencoded
from .mailgun import envelope_pairs, signature_pairs
from .shape import Mail, Shape


def shape(mail: Mail) -> Shape:
    return urlencoded([*envelope_pairs(mail), ("body-mime", mail.raw), *signature_pairs(mail)])
