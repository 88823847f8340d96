"""Bounces, replies, links, calendars, reports: each held against what is known of it."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mailparser
from linkify_it import LinkifyIt
from mailchute import wire
from mailchute.parsed import ParseRequest
from mailparser_reply import EmailReplyParser

from bench.corpus_mime import messages
from bench.corpus_score import CORPUS, MAIL_PARSER, OURS, STDLIB, Score, attempt
from bench.parse_cpu import request_of
from functions.parse.bodies import Bodies, sort_leaves
from functions.parse.bounce import bounce_of
from functions.parse.domain_report import dmarc_report, tls_report
from functions.parse.entity import Entity, read_mail
from functions.parse.invitations import read_calendar
from functions.parse.markup import read_markup
from functions.parse.reply import split_reply
from functions.parse.report import report_of
from functions.parse.settings import WorkerSettings
from functions.parse.text_links import links_in
from functions.parse.unpacking import unpacked
from functions.parse.worker import draft_of

LIBRARY = "the usual library"
NO_BOUNCE = {  # of flufl's 117: what a person would not call one either, or that names nobody
    "groupwise_03.txt": "a mail with its signature, no bounce",
    "qmail_08.txt": "an auto-reply",
    "simple_38.txt": "a disposition notification",
}
BROKEN = {
    "aggregate/invalid_xml.xml": "not well-formed, as its name says",
    "failure/exim_plain_text_only_no_arf_part.eml": "a text without a feedback part",
    **dict.fromkeys(
        (
            "mime/mime4j/core/src/test/resources/testmsgs/multipartemptypart.msg",
            "mime/mime4j/core/src/test/resources/testmsgs/multipartnestedemptypartsnorfc822.msg",
        ),
        "its parts are empty",
    ),
}
SLOW_S = 5.0

# Libraries tell on stderr what they meet in a mail.
logging.getLogger("mailparser").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="icalendar")


def survival() -> tuple[Score, float]:
    """Return how many messages are read and say something, and the slowest's seconds of CPU."""
    score, slowest_s = Score("messages read"), 0.0
    for path in messages():
        octets = path.read_bytes()
        started = time.process_time()
        draft = draft_of(wire.decode(request_of(octets), ParseRequest), WorkerSettings())
        took_s = time.process_time() - started
        slowest_s = max(slowest_s, took_s)
        ours = draft.failure is None and took_s < SLOW_S and _says_something(octets, draft.payload.message)
        peer = attempt(lambda octets=octets: bool(mailparser.parse_from_bytes(octets).mail), False)  # type: ignore[misc]
        score.add(str(path.relative_to(CORPUS)), True, {OURS: ours, MAIL_PARSER: peer})
    return score, slowest_s


def _says_something(octets: bytes, message: Any) -> bool:
    """Say whether a message with a body has become one with a text or an attachment."""
    _, _, body = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
    shown = message.content.text.strip() or message.content.html or message.attachments
    return bool(shown) or not re.sub(rb"(?m)^--.*$|^content-.*$|\s|<[^>]*>", b"", body, flags=re.I)


def bounces() -> Score:
    """Return how many bounces are known for what they are; the two that name nobody name the mail."""
    score = Score("bounces known as such")
    for path in sorted((CORPUS / "bounces/flufl").glob("*.txt")):
        root, bodies = _opened(path)
        found = bounce_of(root, _text(bodies), is_null_reverse_path=False)
        truth = path.name not in NO_BOUNCE
        score.add(path.name, truth, {OURS: found is not None, STDLIB: root.media_type == "multipart/report"})
    return score


def complaints() -> Score:
    """Return how many feedback reports of kumomta are complaints."""
    score = Score("feedback reports")
    for path in sorted((CORPUS / "bounces/kumomta/kumo-log-types/data/rfc5965").glob("*.eml")):
        root, bodies = _opened(path)
        report = report_of(root, bodies.attachments) or {}
        score.add(path.name, "complaint", {OURS: report.get("kind")})
    return score


def replies() -> Score:
    """Return how many of talon's standard replies are parted from what they quote."""
    score = Score("standard replies")
    parser = EmailReplyParser(languages=["en", "de", "fr", "it", "nl", "es", "pl", "sv", "da", "cs"])
    for path in sorted((CORPUS / "replies/talon/standard_replies").glob("*.eml")):
        text = _text(_opened(path)[1])
        truth_file = path.with_name(f"{path.stem}_reply_text")
        truth = truth_file.read_text() if truth_file.exists() else "Hello"
        reply = split_reply(text)
        ours = text if reply is None else f"{reply.text}\n{reply.signature}"  # the truth keeps the signature
        theirs = parser.parse_reply(text) or ""
        score.add(path.name, truth.split(), {OURS: ours.split(), LIBRARY: theirs.split()})
    return score


def links() -> tuple[Score, Score]:
    """Return how many of linkify-it's links are found, and how many of its non-links are left alone."""
    linkify = LinkifyIt(options={"fuzzy_ip": True})
    linkify.normalize = lambda match: None
    found, left = Score("links"), Score("no links")
    for text, truth in _link_cases():
        ours = next((written for written, _ in links_in(text)), None)
        theirs = linkify.match(text)
        found.add(text, truth, {OURS: ours, "linkify-it-py": theirs[0].url if theirs else None})
    for line in (CORPUS / "links/not_links.txt").read_text().split("\n"):
        text = re.split(r"\s+%", line)[0]
        if text.strip() and not line.startswith("%"):
            left.add(text, [], {OURS: list(links_in(text)), "linkify-it-py": linkify.match(text) or []})
    return found, left


def _link_cases() -> Iterator[tuple[str, str]]:
    lines = iter((CORPUS / "links/links.txt").read_text().split("\n"))
    for line in lines:
        if line.strip() and not line.startswith("%"):
            truth = next(lines, "").strip()
            yield line, truth or line.strip()


def calendars() -> Score:
    """Return how many calendars with events give events; none may raise."""
    score = Score("calendars")
    for path in sorted((CORPUS / "icalendar").rglob("*.ics")):
        text = path.read_bytes().decode("utf-8", "replace")
        has_event = len(re.findall(r"(?mi)^BEGIN:VEVENT\s*$", text)) == len(
            re.findall(r"(?mi)^END:VEVENT\s*$", text)
        )
        has_event = has_event and re.search(r"(?mi)^BEGIN:VEVENT\s*$", text) is not None
        events = attempt(lambda text=text: read_calendar(text), None)  # type: ignore[misc]
        score.add(str(path.relative_to(CORPUS / "icalendar")), has_event, {OURS: bool(events)})
    return score


def reports() -> Score:
    """Return how many of parsedmarc's reports are read as the kind their folder says."""
    score = Score("DMARC and TLS reports")
    kinds = {"aggregate": "dmarc-aggregate", "failure": "dmarc-failure", "smtp_tls": "tls"}
    for folder, kind in kinds.items():
        for path in sorted((CORPUS / "reports/parsedmarc" / folder).iterdir()):
            score.add(f"{folder}/{path.name}", kind, {OURS: _report_kind(path)})
    return score


def _report_kind(path: Path) -> str | None:
    if path.suffix != ".eml":
        octets = unpacked(path.read_bytes())
        report = tls_report(octets) if path.suffix == ".json" else dmarc_report(octets)
    else:
        root, bodies = _opened(path)
        report = report_of(root, bodies.attachments)
    return None if report is None else str(report["kind"])


def _opened(path: Path) -> tuple[Entity, Bodies]:
    root = read_mail(path.read_bytes())
    return root, sort_leaves(root)


def _text(bodies: Bodies) -> str:
    return "\n".join(s.text if s.text is not None else read_markup(s.html or "").text for s in bodies.slots)
