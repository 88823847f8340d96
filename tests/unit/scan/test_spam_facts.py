"""The facts that spam rules may ask for: listed for who writes rules, and there for every mail."""

from __future__ import annotations

import re
from pathlib import Path

from mailchute.verdicts import Auth

from functions.scan.reading import Reading
from functions.scan.spam_facts import SPAM_FACTS, Hearsay, facts_of
from tests.unit.scan.given import mail, message

PAGE = Path(__file__).parents[3] / "docs" / "spam.md"


def test_every_fact_stands_in_the_documents_and_no_other() -> None:
    table = PAGE.read_text().partition("| about | facts |")[2].partition("\n\n")[0]
    listed = {name.replace("<name>", "*") for name in re.findall(r"`([a-z_.<>]+)`", table)}
    assert listed == set(SPAM_FACTS)


def test_every_fact_is_given_in_its_kind_or_as_nothing() -> None:
    facts = facts_of(Reading(message(mail())), Auth(), Hearsay(), fields=("header.subject",))
    assert {"header.*" if name.startswith("header.") else name for name in facts} == set(SPAM_FACTS)
    for name, value in facts.items():
        kind = SPAM_FACTS["header.*" if name.startswith("header.") else name]
        assert value is None or type(value) is kind, name
