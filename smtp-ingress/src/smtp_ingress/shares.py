"""How many mails an alias takes in a minute, and how many notifications that nobody can have asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailchute.alias import AliasSnapshot
from mailchute.envelope import Path

from smtp_ingress import replies
from smtp_ingress.board import Row
from smtp_ingress.replies import Refused
from smtp_ingress.settings import Limits

# https://cr.yp.to/proto/verp.txt: list-owner-ann=sender.test@…; Postfix and Mailman: list-bounces+ann=…
_VERP = re.compile(r"[^=]+=[\w.-]+\.\w{2,}", re.ASCII)
_NOTIFIERS = frozenset({"mailer-daemon"})  # what speaks for an MTA without using the null reverse-path


class Shares:
    """
    Counts accepted mails by alias, over all processes.

    Naming a recipient uses up nothing: else anyone could use up an alias's share. So what is under way at
    the same moment may go over a limit by as many mails as there are connections.
    """

    def __init__(self, limits: Limits, row: Row) -> None:
        self._limits = limits
        self._row = row

    def check(self, path: Path, alias: AliasSnapshot, reverse_path: Path | None, *, waiting: int = 0) -> None:
        """
        Raise Refused when this alias has had its share.

        Args:
            waiting: Recipients of the same transaction that are this alias too.
        """
        self._check(alias.alias_id.encode(), waiting, self._limits.alias_rate)
        if is_backscatter(path, alias, reverse_path):
            self._check(_backscatter_key(alias), waiting, self._limits.backscatter_rate)

    def count(self, mails: Iterable[tuple[Path, AliasSnapshot]], reverse_path: Path | None) -> None:
        """Count mails that were accepted."""
        for path, alias in mails:
            if self._limits.alias_rate:
                self._row.tick(alias.alias_id.encode())
            if is_notification(reverse_path):
                self._row.count("notifications")
                if self._limits.backscatter_rate and is_backscatter(path, alias, reverse_path):
                    self._row.tick(_backscatter_key(alias))

    def _check(self, key: bytes, waiting: int, limit: int) -> None:
        if limit and self._row.rate(key) + waiting >= limit:
            raise Refused(replies.TOO_MUCH_FOR_ALIAS)


def is_notification(reverse_path: Path | None) -> bool:
    """Return whether this sender tells what became of another mail: the null reverse-path, MAILER-DAEMON."""
    return reverse_path is None or reverse_path.local_part.lower() in _NOTIFIERS


def is_verp(local_part: str) -> bool:
    """Return whether a forward-path names another mailbox: the one whose mail came back."""
    return "=" in local_part and _VERP.fullmatch(local_part) is not None


def is_backscatter(path: Path, alias: AliasSnapshot, reverse_path: Path | None) -> bool:
    """
    Return whether this looks like a notification about mail that somebody else sent in a made-up name.

    Only a catch-all takes made-up names; and who sends with VERP names whom the mail had been for.
    """
    return is_notification(reverse_path) and alias.address.startswith("*@") and not is_verp(path.local_part)


def _backscatter_key(alias: AliasSnapshot) -> bytes:
    return b"<>" + alias.alias_id.encode()
