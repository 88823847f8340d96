"""Domain names in two spellings."""

import pytest
from mailchute.names import ascii_name, parents_of, spellings_of


@pytest.mark.parametrize(
    ("name", "ascii"),
    [
        ("Spam.TEST", "spam.test"),
        ("spam.test.", "spam.test"),
        ("köln.test", "xn--kln-sna.test"),
        ("KÖLN.test", "xn--kln-sna.test"),
        ("straße.test", "xn--strae-oqa.test"),  # RFC 5891: no "ss"
        ("xn--kln-sna.test", "xn--kln-sna.test"),
        ("_dmarc.test", "_dmarc.test"),
        ("-ö-.test", "-ö-.test"),  # no A-label has it
        ("\udcff.test", "\udcff.test"),
        ("", ""),
    ],
)
def test_a_name_has_one_spelling_in_a_labels(name, ascii):  # noqa: A002
    assert ascii_name(name) == ascii


def test_either_spelling_leads_to_both():
    assert spellings_of("Köln.test") == ("köln.test", "xn--kln-sna.test")
    assert spellings_of("xn--kln-sna.test") == ("xn--kln-sna.test", "köln.test")
    assert spellings_of("Inbox.test.") == ("inbox.test",)
    assert spellings_of("xn--\x00.test") == ("xn--\x00.test",)


def test_parents_come_nearest_first():
    assert parents_of("a.b.c") == ["a.b.c", "b.c", "c"]
