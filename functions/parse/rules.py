"""What the alias's rules decide: they are asked in order, and the first that holds decides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mailchute.alias import EndpointSnapshot, Rule
from mailchute.eventlog import event_log
from mailchute.expressions import Expression, ExpressionError, compile_expression
from mailchute.file_patterns import is_meant
from mailchute.mail import MailObject
from mailchute.parsed import Decided, RuleTrace
from mailchute.payload import Attachment, Message
from mailchute.rule_facts import facts_of
from mailchute.verdicts import ScanReport
from msgspec import UNSET
from msgspec.structs import replace

from .draft import Upload

log = event_log("parse")


@lru_cache(maxsize=1_024)
def _compiled(text: str) -> Expression:
    return compile_expression(text)


def deciding_rule(
    rules: Sequence[Rule], mail: MailObject, report: ScanReport, message: Message
) -> Rule | None:
    """
    Return the first rule whose condition holds of this mail, or None.

    A condition that cannot be read (a newer release wrote it) is passed over: mail is rather
    delivered than lost.
    """
    if not rules:
        return None
    facts = message_facts(mail, report, message)
    for rule in rules:
        try:
            condition = _compiled(rule.when)
        except ExpressionError as error:
            log.warning("rule unreadable", mail_id=mail.id, reason=str(error))
            continue
        if condition.holds(facts):
            return rule
    return None


def endpoint_id_of(rule: Rule | None, endpoints: Sequence[EndpointSnapshot]) -> str | None:
    """
    Return the only endpoint that a rule routes to; None for all of the alias's.

    One that the alias no longer has leaves all: mail is rather seen twice than by nobody.
    """
    if rule is None or rule.then != "route":
        return None
    return next((one.id for one in endpoints if one.id == rule.endpoint_id), None)


def without_dropped(
    rule: Rule | None, message: Message, uploads: Sequence[Upload]
) -> tuple[Message, tuple[Upload, ...]]:
    """Return the message, and what of it goes to S3, without the attachments that a rule drops."""
    if rule is None or rule.then != "drop":
        return message, tuple(uploads)
    attachments = tuple(_dropped(one) if _is_meant(rule, one) else one for one in message.attachments)
    kept = tuple(one for one in uploads if not _is_meant(rule, message.attachments[one.index]))
    return replace(message, attachments=attachments), kept


def _is_meant(rule: Rule, one: Attachment) -> bool:
    return is_meant(rule.drop, one.filename, (one.content_type, one.detected_type))


def _dropped(one: Attachment) -> Attachment:
    """Return its description alone; of an attached mail not even the text."""
    if one.status == "excluded":
        return replace(one, message=UNSET)
    return replace(
        one, content=UNSET, url=UNSET, message=UNSET, status="excluded", exclude_reason="dropped-by-rule"
    )


def traced(
    rules: Sequence[Rule], mail: MailObject, report: ScanReport, message: Message
) -> tuple[RuleTrace, ...]:
    """Return whether each rule holds of this mail, and the comparisons that made it so."""
    facts = message_facts(mail, report, message)
    return tuple(_traced(rule, facts) for rule in rules)


def _traced(rule: Rule, facts: dict[str, Any]) -> RuleTrace:
    try:
        condition = _compiled(rule.when)
    except ExpressionError:
        return RuleTrace(rule=rule, holds=False, because=())
    because = tuple(
        Decided(
            text=one.text, holds=bool(one.value(facts)), facts={name: facts.get(name) for name in one.names}
        )
        for one in condition.clause.deciding(facts)
    )
    return RuleTrace(rule=rule, holds=condition.holds(facts), because=because)


def message_facts(mail: MailObject, report: ScanReport, message: Message) -> dict[str, Any]:
    """Return every fact that mailchute.rule_facts lists, for this mail."""
    facts = facts_of(mail, report)
    fields: dict[str, list[str]] = {}
    for field in message.headers:
        fields.setdefault(f"header.{field.name.lower()}", []).append(field.value)
    facts.update((name, "\n".join(values)) for name, values in fields.items())
    types = [kind for each in message.attachments for kind in (each.content_type, each.detected_type) if kind]
    names = [each.filename.lower().rpartition(".") for each in message.attachments]
    sizes = [each.size for each in message.attachments]
    facts["subject"] = message.subject
    facts["sender.name"] = message.sender.name if message.sender else None
    facts["attachments.count"] = float(len(message.attachments))
    facts["attachments.types"] = tuple(dict.fromkeys(types))
    facts["attachments.extensions"] = tuple(extension for _, dot, extension in names if dot)
    facts["attachments.names"] = tuple(each.filename for each in message.attachments)
    facts["attachments.octets"] = float(sum(sizes))
    facts["attachments.largest"] = float(max(sizes, default=0))
    return facts
