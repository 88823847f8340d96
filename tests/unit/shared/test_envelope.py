"""Paths are parsed at the edge and valid from then on."""

import pytest
from mailchute.envelope import Path
from mailchute.errors import MalformedPath


@pytest.mark.parametrize(
    ("text", "local_part", "domain"),
    [
        ("a@b.test", "a", "b.test"),
        ("Case@B.Test", "Case", "b.test"),  # the local-part keeps its case, a domain has none
        ('"a@b"@c.test', '"a@b"', "c.test"),  # the last @ divides
        ("a+tag@b.test", "a+tag", "b.test"),
        ("x@[127.0.0.1]", "x", "[127.0.0.1]"),
        ("ü@ö.test", "ü", "ö.test"),
        ("l" * 64 + "@d.test", "l" * 64, "d.test"),
    ],
)
def test_a_path_is_its_two_halves(text, local_part, domain):
    path = Path.parse(text)
    assert (path.local_part, path.domain) == (local_part, domain)
    assert Path.parse(str(path)) == path


@pytest.mark.parametrize(
    "text",
    ["", "@", "a", "a@", "@b", "<>", "l" * 65 + "@d.test", "ü" * 33 + "@d.test", "a@" + "d" * 256],
)
def test_what_is_no_path_is_refused_with_a_permanent_error(text):
    with pytest.raises(MalformedPath) as caught:
        Path.parse(text)
    assert (caught.value.reply_code, caught.value.status_code) == (501, "5.1.3")
