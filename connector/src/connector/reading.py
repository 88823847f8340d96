"""Reading a mail: scan says who sent it, parse makes the payload; one that breaks them is read degraded."""

from __future__ import annotations

import msgspec
from mailchute import wire
from mailchute.eventlog import event_log
from mailchute.mail import MailObject
from mailchute.parsed import ParseAnswer
from mailchute.verdicts import ScanReport, Security

from connector.answer import NotNow, Refused, value_of
from connector.batch import FunctionAnswer
from connector.function import HOLD_S, Function, FunctionBroke

BROKE_MAX = 3  # a mail that brings a function down this often is worked on without it

log = event_log("connector")


class Unreadable(Exception):
    """The mail cannot go on."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


class Reading:
    """
    Reads mails.

    Args:
        hold_s: How long a function that is away is waited for.
    """

    def __init__(self, scan: Function, parse: Function, *, hold_s: float = HOLD_S) -> None:
        self._scan = scan
        self._parse = parse
        self._hold_s = hold_s
        self._broke: dict[tuple[str, str], int] = {}  # (function, mail) → how often

    async def read(self, mail: MailObject, record: bytes, *, is_last_try: bool = False) -> ParseAnswer:
        """
        Return the payload, and what the alias's rules decide.

        Args:
            record: The mail object, encoded, its content in it.
            is_last_try: What fails now is worked on without the function that fails.

        Raises:
            Unreadable: It never will be.
            TransientError: Again later.
        """
        report = await self._scanned(mail, record, is_last_try=is_last_try)
        return await self._parsed(mail, record, report, is_last_try=is_last_try)

    async def _scanned(self, mail: MailObject, record: bytes, *, is_last_try: bool) -> bytes:
        """Return the report as octets; an empty one, that says so, where the mail brings scan down."""
        try:
            answer = await self._call(self._scan, record, mail.id)
            value_of(answer, ScanReport, stage="scan")
            return answer.body
        except (FunctionBroke, NotNow) as error:
            if isinstance(error, NotNow) and not is_last_try:
                raise
            log.warning("scan-skipped", mail_id=mail.id, stage="scan", reason=str(error))
            return wire.encode(ScanReport(security=Security(degraded=True, limits=("scan-failed",))))
        except Refused as error:
            raise Unreadable("scan", str(error)) from error

    async def _parsed(
        self, mail: MailObject, record: bytes, report: bytes, *, is_last_try: bool
    ) -> ParseAnswer:
        def request(degraded: str | None) -> bytes:
            return wire.encode(
                {
                    "version": wire.VERSION,
                    "mail": msgspec.Raw(record),
                    "report": msgspec.Raw(report),
                    "degraded": degraded,
                }
            )

        try:
            try:
                answer = await self._call(self._parse, request(None), mail.id)
                return value_of(answer, ParseAnswer, stage="parse")
            except (FunctionBroke, NotNow) as error:
                if isinstance(error, NotNow) and not is_last_try:
                    raise
                log.warning("parsed-degraded", mail_id=mail.id, stage="parse", reason=str(error))
                answer = await self._call(self._parse, request(str(error)), f"{mail.id} degraded")
                return value_of(answer, ParseAnswer, stage="parse")
        except FunctionBroke as error:
            raise Unreadable("parse", f"brings parse down even degraded: {error}") from error
        except Refused as error:
            raise Unreadable("parse", str(error)) from error
        except NotNow as error:
            if is_last_try:
                raise Unreadable("parse", str(error)) from error
            raise

    async def _call(self, function: Function, body: bytes, suspect: str) -> FunctionAnswer:
        """Call; a mail that brought the function down is called alone, BROKE_MAX times in all."""
        key = (function.name, suspect)
        while True:
            count = self._broke.get(key, 0)
            if count >= BROKE_MAX:
                raise FunctionBroke(f"brought {function.name} down {count} times")
            try:
                answer = await function.call(body, alone=count > 0, hold_s=self._hold_s)
            except FunctionBroke:
                if len(self._broke) > 10_000:
                    self._broke.clear()  # a guard, not a ledger
                self._broke[key] = count + 1
                continue
            self._broke.pop(key, None)
            return answer
