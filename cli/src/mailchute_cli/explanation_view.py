"""An explanation as a person likes to read it."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec
from mailchute.alias import Rule
from mailchute.delivery import Rehearsal
from mailchute.lookup import Candidate
from mailchute.parsed import Decided, ParseAnswer, RuleTrace
from mailchute.verdicts import Auth, ScanReport, Spam

from .rehearsal import Addressee, Explanation
from .table import cell
from .webhook_view import WIDTH, lines_of

LABEL_WIDTH = 9
SYMBOLS_SHOWN = 6
VALUE_CHARACTERS = 60
HIGHLIGHTED = ("webhook-signature", "x-emailconnect-signature")
YES, NO = click.style("✓", fg="green"), click.style("✗", fg="red")


def shown(found: Explanation) -> Iterator[str]:
    """Yield the lines."""
    yield ""
    yield from _aliases(found.addressee)
    if found.report is None or found.answer is None:
        return
    yield from _verdicts(found.report)
    yield from _rules(found.answer.trace, found.addressee)
    yield _line("result", _result(found.answer, len(found.requests)))
    for number, request in enumerate(found.requests, 1):
        yield from _request(request, f"request {number} of {len(found.requests)}")
    yield ""


def _aliases(found: Addressee) -> Iterator[str]:
    address = str(found.address)
    if not found.candidates:
        yield _line("alias", f"{NO} none matches {cell(address)}: the sender is told 550 5.1.1")
        return
    first, *others = found.candidates
    yield _line("alias", f"{YES} {click.style(cell(first.address), bold=True)}  {_why(first, address)}")
    for one in others:
        yield _line("", click.style(f"  {cell(one.address)}  {_why(one, address)}, comes after", dim=True))


def _why(one: Candidate, address: str) -> str:
    local_part = address.rpartition("@")[0].lower()
    if one.kind == "exact":
        is_whole = one.address.rpartition("@")[0].lower() == local_part
        return "exact" if is_whole else f"exact without +{cell(local_part.partition('+')[2])}"
    return "catch-all" if one.kind == "catch-all" else f"pattern, priority {one.priority}"


def _verdicts(report: ScanReport) -> Iterator[str]:
    yield _line("sender", _sender(report.auth))
    auth = report.auth
    dkim = ", ".join(f"{one.result} {one.domain or ''}".strip() for one in auth.dkim) or "none"
    policy = f" p={auth.dmarc.policy}" if auth.dmarc.policy else ""
    results = (f"spf {auth.spf.result}", f"dkim {cell(dkim)}", f"dmarc {auth.dmarc.result}{policy}")
    yield _line("", " · ".join((*results, f"arc {auth.arc.result}", f"iprev {auth.iprev}")))
    yield _line("spam", _spam(report.spam))
    if report.security.virus is not None and report.security.virus.infected:
        yield _line("virus", click.style(cell(", ".join(report.security.virus.names)), fg="red"))


def _sender(auth: Auth) -> str:
    address = cell(auth.sender.address)
    if auth.sender.authenticated:
        return f"{YES} {address}  proved by {auth.sender.via} of {cell(auth.sender.domain)}"
    return f"{NO} {address}  not authenticated"


def _spam(spam: Spam | None) -> str:
    if spam is None:
        return "not looked at: switched off for this alias"
    mark = NO if spam.is_spam else YES
    heaviest = sorted(spam.symbols, key=lambda one: -abs(one.score))[:SYMBOLS_SHOWN]
    hits = " ".join(f"{cell(one.name)} {one.score:+g}" for one in heaviest)
    more = len(spam.symbols) - len(heaviest)
    return f"{mark} {spam.score:g} of {spam.threshold:g}  {spam.engine}: {hits or 'nothing hit'}" + (
        f" and {more} more" if more > 0 else ""
    )


def _rules(traces: tuple[RuleTrace, ...], addressee: Addressee) -> Iterator[str]:
    if not traces:
        yield _line("rules", "none")
    is_decided = False
    for number, trace in enumerate(traces, 1):
        decides = trace.holds and not is_decided
        mark = YES if trace.holds else NO
        written = addressee.rules[number - 1] if len(addressee.rules) == len(traces) else trace.rule
        then = click.style(_then(written), bold=decides, dim=not decides)
        of_domain = click.style("  (the domain's)", dim=True) if number > addressee.own_count else ""
        late = (
            click.style("  (true too, but an earlier one decided)", dim=True)
            if trace.holds and is_decided
            else ""
        )
        yield _line(
            "rules" if number == 1 else "",
            f"{mark} {number}  {cell(trace.rule.when)}  {then}{of_domain}{late}",
        )
        reasons = dict.fromkeys(_because(one) for one in trace.because)
        because = "; ".join(reasons) or "cannot be read by this release"
        yield _line("", click.style(f"     {because}", dim=True))
        is_decided = is_decided or trace.holds


def _then(rule: Rule) -> str:
    detail = {"tag": rule.tag, "route": rule.endpoint_url, "drop": " ".join(rule.drop)}
    return f"→ {rule.then} {cell(detail[rule.then])}" if rule.then in detail else f"→ {rule.then}"


def _because(one: Decided) -> str:
    facts = ", ".join(f"{name} is {_value(value)}" for name, value in one.facts.items())
    return facts or cell(one.text)


def _value(value: object) -> str:
    if value is None:
        return "not there"
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
    text = msgspec.json.encode(value).decode()
    return cell(text if len(text) <= VALUE_CHARACTERS else f"{text[:VALUE_CHARACTERS]}…")


def _result(answer: ParseAnswer, count: int) -> str:
    if answer.decision == "reject":
        return click.style("rejected", fg="red", bold=True) + ": no endpoint hears of it, its sender neither"
    tags = f", tagged {cell(', '.join(answer.tags))}" if answer.tags else ""
    where = "1 endpoint" if count == 1 else f"{count} endpoints"
    return click.style("delivered", fg="green", bold=True) + f" to {where}{tags}"


def _request(request: Rehearsal, title: str) -> Iterator[str]:
    rule = click.style("─" * WIDTH, dim=True)
    yield rule
    yield f"{click.style(title, bold=True)}  {cell(request.url)}"
    if request.refusal:
        yield f"{NO} would not be sent: {cell(request.refusal)}"
    if not request.head:
        return
    yield ""
    for line in request.head.decode("utf-8", "replace").split("\r\n"):
        if line:
            name, colon, value = line.partition(":")
            colour = "green" if name.lower() in HIGHLIGHTED else "cyan"
            yield (
                f"  {click.style(name, fg=colour)}:{cell(value)}"
                if colon and "HTTP/" not in name
                else f"  {cell(line)}"
            )
    yield ""
    yield from _body(request.body)


def _body(body: bytes) -> Iterator[str]:
    try:
        yield from lines_of(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = body[:2_000].decode("utf-8", "replace")
        yield from (f"  {cell(line)}" for line in text.splitlines())
    yield click.style(f"  {len(body):,} octets; --json has all of them", dim=True)


def _line(label: str, text: str) -> str:
    return f"{click.style(f'{label:<{LABEL_WIDTH}}', dim=True)}{text}"
