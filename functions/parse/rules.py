"""What the alias's rules decide: they are asked in order, and the first that holds decides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mailchute.alias import Rule
from mailchute.eventlog import event_log
from mailchute.expressions import Expression, ExpressionError, compile_expression
from mailchute.mail import MailObject
from mailchute.payload import Message
from mailchute.rule_facts import facts_of
from mailchute.verdicts import ScanReport

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


def message_facts(mail: MailObject, report: ScanReport, message: Message) -> dict[str, Any]:
    """Return every fact that mailchute.rule_facts lists, for this mail."""
    facts = facts_of(mail, report)
    fields: dict[str, list[str]] = {}
    for field in message.headers:
        fields.setdefault(f"header.{field.name.lower()}", []).append(field.value)
    facts.update((name, "\n".join(values)) for name, values in fields.items())
    types = [kind for each in message.attachments for kind in (each.content_type, each.detected_type) if kind]
    names = [each.filename.lower().rpartition(".") for each in message.attachments]
    facts["subject"] = message.subject
    facts["attachments.count"] = float(len(message.attachments))
    facts["attachments.types"] = tuple(dict.fromkeys(types))
    facts["attachments.extensions"] = tuple(extension for _, dot, extension in names if dot)
    return facts
