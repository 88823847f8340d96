"""Addresses that a bounce names in free text, as mailers wrote them before RFC 3464 and still do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import re2

from .header_section import HeaderSection
from .words import text_of

TEXT_MAX_CHARACTERS = 64 * 1024  # what a server says stands at the top; below it is the mail itself
_ANY_CASE = re2.Options()
_ANY_CASE.case_sensitive = False
# Asked of every mail, or of every address: by an engine that tries all alternatives at once.
_DAEMON = re2.compile(
    r"mailer[-_]?daemon|postmaster|mail delivery (?:sub)?system|mail ?daemon|delivery subsystem|\bmdaemon\b"
    r"|internet mail delivery|system administrator|mail administrator|mail router|bounce|returned mail",
    _ANY_CASE,
)
_SUBJECT = re2.compile(
    r"undeliver|failed mail|mail failed|not delivered|delivery (?:status )?notification"
    r"|delivery (?:error|failure|problem|report"
    r"|has failed|unsuccessful)"
    r"|returned mail|mail delivery|failure (?:notice|delivery)|mail (?:failure|error|returned"
    r"|system error)|non.?deliver"
    r"|nondeliverable|returned to sender|could ?n[o']t be delivered|message status"
    r"|user unknown|permanent.{0,20}(?:failure|error)"
    r"|unzustellbar|nicht zustellbar|échec|non remis|no se (?:puede|pudo) entregar"
    r"|mancato recapito|warning:|bounced|"
    r"account (?:closed|no longer)|invalid (?:address|recipient)|unable to deliver|delivery$"
    r"|失败|失敗|无法|無法|退信|退回|エラー|不明|届け|配信不能|반송|недоставлен|не доставлено",
    _ANY_CASE,
)
_COPY = re.compile(
    r"^[-\s*>]*(?:copy of|this is a copy of|below this line is a copy|original (?:message"
    r"|text) follows|original message|"
    r"(?:the )?(?:unsent|returned|undelivered) message|message (?:headers?|text|body) follow"
    r"|returned message|your original message"
    r"|the (?:header|text|first|body) .{0,40}(?:follows?|message)|unsent message below"
    r"|start of returned|received: (?:from|by) |return-path:)",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(
    r"(?<![\w.@!#$%&'*+/=?^`{|}~-])([\w.!#$%&'*+/=?^`{"
    r"|}~-]{1,64}@(?:[\w-]{1,63}\.){1,10}[\w-]{2,63})(?![\w@])"
)
_FAILED = re2.compile(
    r"\b[45]\d\d\b|\b[45]\.\d\.\d|unknown|fail|could not|couldn't|cannot|can't|unable"
    r"|not (?:yet )?(?:be(?:en)? )?(?:deliver|found|exist|listed|valid)"
    r"|doesn't|does not|no such|quota|full|rejected|refused|error|disabled|invalid|undeliver"
    r"|recipient|following address|no longer|bounced|wasn't|did ?n[o']t|not known|problems?\b"
    r"|失败|失敗|无法|無法|エラー|不明|届け",
    _ANY_CASE,
)
_DELAYED = re.compile(
    r"not yet been delivered|delivery attempts will continue"
    r"|(?:will|are) (?:keep |continue to |still )?(?:be )?(?:retried|retry|trying)"
    r"|continue to (?:try|retry)|warning message only|do not need to resend"
    r"|this is (?:only )?a warning",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"\s*(?:re|fwd?|aw|wg|sv|vs|tr|rv)\s*:", re.IGNORECASE)  # a person wrote about one
_LOOK_CHARACTERS = 400  # around an address, for the words that say it failed
RECIPIENTS_MAX_COUNT = 50  # a server names those of one transaction, about 100 at most; lists name few
ADDRESSES_MAX_COUNT = 1_000  # looked at for them


def recipients_in(
    section: HeaderSection, text: str, *, is_null_reverse_path: bool, is_declared: bool = False
) -> Iterator[tuple[str, str]]:
    """
    Yield address and diagnostic for each recipient that this mail says it did not reach.

    Args:
        is_null_reverse_path: Whether the envelope says it is a notification.
        is_declared: Whether its Content-Type says it is a delivery status notification.
    """
    failed = text_of(section.first("x-failed-recipients") or b"")
    subject = text_of(section.first("subject") or b"")
    is_daemon = bool(_DAEMON.search(text_of(section.first("from") or b""))) or is_null_reverse_path
    is_told = is_declared or _SUBJECT.search(subject) or (is_daemon and _SUBJECT.search(text[:2_000]))
    if not failed and not (is_told and (is_daemon or _FAILED.search(text[:2_000]))):
        return
    text = text[:TEXT_MAX_CHARACTERS]
    copy = _COPY.search(text)
    told = text[: copy.start()] if copy and _ADDRESS.search(text, 0, copy.start()) else text[: 8 * 1024]
    ours = {address.lower() for key in ("from", "to", "reply-to", "sender", "return-path") for address in
            _ADDRESS.findall(text_of(section.first(key) or b""))}  # fmt: skip
    seen: set[str] = set()
    for address in failed.split(",") if failed else ():
        if address.strip() and address.strip().lower() not in seen:
            seen.add(address.strip().lower())
            yield address.strip(), _around(told, told.find(address.strip()))
    if seen:
        return
    for match in islice(_ADDRESS.finditer(told), ADDRESSES_MAX_COUNT):
        address = match[1].strip("'`.")
        is_other = address.lower() in seen or address.lower() in ours or _DAEMON.search(address)
        if is_other or len(seen) >= RECIPIENTS_MAX_COUNT:
            continue
        at = match.start()
        if _FAILED.search(_context_of(told, at)):
            seen.add(address.lower())
            yield address, _around(told, at)


def says_undelivered(section: HeaderSection, text: str) -> bool:
    """Say whether this mail tells that another one was not delivered, though it may name nobody."""
    subject = text_of(section.first("subject") or b"")
    is_told = _SUBJECT.search(subject) and not _ANSWER.match(subject)
    return bool(is_told and _SUBJECT.search(text[:2_000]))


def says_delayed(text: str) -> bool:
    """Say whether this notice is about a mail that is still being tried."""
    return bool(_DELAYED.search(text[:2_000]))


def _context_of(text: str, at: int) -> str:
    """Return where to look for words of failure about an address: its list and introduction, or near it."""
    low, high = max(0, at - _LOOK_CHARACTERS), at + _LOOK_CHARACTERS
    paragraph = text.rfind("\n\n", low, at)
    begins = max(low, text.rfind("\n\n", low, paragraph)) if paragraph >= 0 else low
    introduction = text[begins : max(begins, paragraph)].rstrip()
    if introduction.endswith(":") and "@" not in introduction:
        ends = text.find("\n\n", at, high)
        return text[begins : ends if ends >= 0 else high]
    return text[low:high]


def _around(text: str, at: int) -> str:
    """Return the paragraph that the address stands in and what follows, on one line."""
    if at < 0:
        return ""
    start = max(text.rfind("\n\n", 0, at), at - _LOOK_CHARACTERS, 0)
    return " ".join(text[start : at + _LOOK_CHARACTERS].split())[: 2 * _LOOK_CHARACTERS]
