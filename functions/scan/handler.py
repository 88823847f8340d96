"""scan: a mail in, a scan report out."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mailchute import wire
from mailchute.errors import BadSetting
from mailchute.function import Answer, Call, answer
from mailchute.mail import MailObject
from mailchute.verdicts import ScanReport

from .person import Scannable, of_call, of_mail
from .scan import Scanner
from .settings import Settings

CONCURRENCY = 32  # most of a cold scan is waiting for the DNS
PUBLIC = True

_scanner: Scanner | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """
    Make the scanner of this process.

    Raises:
        BadSetting: A setting or a rule file cannot be used.
    """
    global _scanner  # noqa: PLW0603 - the host knows functions as modules
    _scanner = Scanner(Settings.read(environ))


def stop() -> None:
    """Let go of the scanner's threads."""
    if _scanner is not None:
        _scanner.close()


def handle(call: Call) -> Answer:
    """Answer one call: a MailObject whose content is resolved, or a bare message/rfc822."""
    if call.content_type == wire.MESSAGE:
        return answer(call, Scannable, _report, from_message=of_call)
    return answer(call, MailObject, lambda mail: _report(of_mail(mail)))


def _report(asked: Scannable) -> ScanReport:
    if _scanner is None:
        raise BadSetting("scan was called before start()")
    return _scanner.scan(asked.message, spam_enabled=asked.spam_enabled, threshold=asked.threshold)
