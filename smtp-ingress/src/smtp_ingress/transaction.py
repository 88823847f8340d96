"""One SMTP transaction: what MAIL and RCPT have said so far (RFC 5321, 3.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from mailchute.alias import AliasSnapshot
from mailchute.envelope import DsnRequest, Envelope, Path, Tls
from mailchute.errors import MalformedPath

from smtp_ingress.acceptance import Draft, draft
from smtp_ingress.address import BadSyntax, argument, is_ascii, path_of
from smtp_ingress.recipients import Recipients
from smtp_ingress.replies import (
    NOT_FITTING,
    TLS_REQUIRED,
    TOO_BIG,
    TOO_MANY_RECIPIENTS,
    UNKNOWN_PARAMETER,
    Refused,
)

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461, 4
_NOTIFY = re.compile(r"never|(?:success|failure|delay)(?:,(?:success|failure|delay))*", re.IGNORECASE)
_ORCPT = re.compile(r"[A-Za-z0-9-]+;.+")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870, 3


@dataclass(frozen=True, kw_only=True)
class Client:
    """Who speaks, as far as it is known."""

    ip: str
    helo: str
    tls: Tls | None
    is_extended: bool  # it said EHLO
    listed_by: tuple[str, ...] = ()  # DNS lists that name it


@dataclass
class Transaction:
    """From MAIL to the end of the content, RSET, or the next EHLO."""

    reverse_path: Path | None  # None: the null reverse-path
    is_smtputf8: bool = False
    declared_octets: int | None = None  # SIZE=; None when the client did not say
    recipients: dict[Path, AliasSnapshot] = field(default_factory=dict)
    ret: str = ""  # these two of RFC 3461, 4.3 and 4.4; "": not asked for
    envid: str = ""
    limit_octets: int | None = None  # of the recipients' plans, where SIZE did not settle it; None: none
    _asked: dict[Path, tuple[str, str]] = field(default_factory=dict)  # NOTIFY and ORCPT of each recipient

    @property
    def mode(self) -> str | None:
        """The mode that the first recipient fixed."""
        return next((alias.mode for alias in self.recipients.values()), None)

    async def find(
        self, text: str | None, recipients: Recipients, *, limit: int, has_tls: bool
    ) -> tuple[Path, AliasSnapshot]:
        """
        Return whom the argument of a RCPT names; who is to have the mail goes into `recipients`.

        Raises:
            Refused: The mail cannot go there.
            DirectoryUnavailable: It is not known whether it can.
        """
        path = self._forward_path(text, recipients)
        if len(self.recipients) >= limit:
            raise Refused(TOO_MANY_RECIPIENTS)
        alias = await recipients.resolve(path)
        if alias.requires_tls and not has_tls:
            raise Refused(TLS_REQUIRED)
        if self.recipients and path not in self.recipients and "through" in (self.mode, alias.mode):
            raise Refused(NOT_FITTING)  # an answer for two recipients could be no one's
        return path, alias

    def bind(self, path: Path, limit_octets: int | None) -> None:
        """
        Let the mail be no bigger than this recipient's plan allows.

        Raises:
            Refused: The others have another limit: what is too big for one must not be refused to all.
        """
        if self.recipients and path not in self.recipients and limit_octets != self.limit_octets:
            raise Refused(NOT_FITTING)
        self.limit_octets = limit_octets

    def drafts(self, client: Client, *, hostname: str, now: datetime) -> list[Draft]:
        """Return one mail object for each recipient, waiting for its content."""
        return [
            draft(
                Envelope(
                    reverse_path=self.reverse_path,
                    forward_path=path,
                    client_ip=client.ip,
                    helo=client.helo,
                    tls=client.tls,
                    smtputf8=self.is_smtputf8,
                    listed_by=client.listed_by,
                    dsn=self._dsn(path),
                ),
                alias,
                hostname=hostname,
                received_at=now,
                is_extended=client.is_extended,
            )
            for path, alias in self.recipients.items()
        ]

    def _dsn(self, path: Path) -> DsnRequest | None:
        notify, orcpt = self._asked.get(path, ("", ""))
        if not (notify or orcpt or self.ret or self.envid):
            return None
        kinds = tuple(notify.upper().split(",")) if notify else ()
        return DsnRequest(notify=kinds, orcpt=orcpt, ret=self.ret, envid=self.envid)

    def _forward_path(self, text: str | None, recipients: Recipients) -> Path:
        path_text, parameters = _argument(text, "TO:", "RCPT TO:<forward-path>")
        for name, value in parameters.items():
            # DSN (RFC 3461) is not offered; what a client asks for all the same is kept.
            known = {"NOTIFY": _NOTIFY, "ORCPT": _ORCPT}.get(name)
            if known is None:
                raise Refused(UNKNOWN_PARAMETER.format(name=name[:32]))
            if value is None or not known.fullmatch(value):
                raise Refused(f"501 5.5.4 bad value of {name}")
        try:
            path = recipients.path(path_text)
        except MalformedPath as error:
            raise Refused(f"501 5.1.3 {error}") from error
        if not self.is_smtputf8 and not is_ascii(path):
            raise Refused("553 5.6.7 this address needs SMTPUTF8 (RFC 6531)")
        if parameters:
            self._asked[path] = (parameters.get("NOTIFY") or "", parameters.get("ORCPT") or "")
        return path


def begin(text: str | None, *, limit_octets: int) -> Transaction:
    """
    Return the transaction that this argument of MAIL begins.

    Raises:
        Refused: It is no reverse-path, or the mail would be too big.
    """
    path_text, parameters = _argument(text, "FROM:", "MAIL FROM:<reverse-path>")
    for name, value in parameters.items():
        _check(name, value)
    declared = parameters.get("SIZE")
    if declared is not None and int(declared) > limit_octets:
        raise Refused(TOO_BIG.format(limit=limit_octets))
    is_smtputf8 = "SMTPUTF8" in parameters
    try:
        path = path_of(path_text) if path_text else None
    except MalformedPath as error:
        raise Refused(f"501 5.1.7 {error}") from error
    if path is not None and not is_smtputf8 and not is_ascii(path):
        raise Refused("553 5.6.7 this address needs SMTPUTF8 (RFC 6531)")
    return Transaction(
        path,
        is_smtputf8,
        None if declared is None else int(declared),
        ret=(parameters.get("RET") or "").upper(),
        envid=parameters.get("ENVID") or "",
    )


def _argument(text: str | None, keyword: str, form: str) -> tuple[str, dict[str, str | None]]:
    try:
        return argument(text, keyword)
    except BadSyntax as error:
        raise Refused(f"501 5.5.4 expected {form}") from error


def _check(name: str, value: str | None) -> None:
    """Raise Refused for a parameter of MAIL that we do not know or cannot read."""
    match name:
        case "SIZE":  # RFC 1870
            is_good = value is not None and _SIZE.fullmatch(value) is not None
        case "BODY":  # RFC 6152; BINARYMIME (RFC 3030) is not offered
            is_good = value is not None and value.upper() in ("7BIT", "8BITMIME")
        case "SMTPUTF8":  # RFC 6531, 3.4
            is_good = value is None
        case "RET":  # RFC 3461, 4.3
            is_good = value is not None and value.upper() in ("FULL", "HDRS")
        case "ENVID":  # RFC 3461, 4.4
            is_good = value is not None and _XTEXT.fullmatch(value) is not None
        case "AUTH":  # RFC 4954, 5: a claim of who wrote it; nothing here rests on it
            is_good = value is not None
        case _:
            raise Refused(UNKNOWN_PARAMETER.format(name=name[:32]))
    if not is_good:
        raise Refused(f"501 5.5.4 bad value of {name}")
