"""Nothing but CR LF . CR LF ends content, wherever the blocks are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp_ingress.content import BareNewline, DottedContent, Lines, LineTooLong

OCTETS = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"..", b"\r\n.", b"x\r\n"]), max_size=12).map(
    b"".join
)


def read(octets, cuts=(), limit=1_000):
    """Feed the octets in blocks; return the content and what came after it (None: no end yet)."""
    content, found, start = DottedContent(limit), b"", 0
    for cut in [*sorted(min(cut, len(octets)) for cut in cuts), len(octets)]:
        if content.rest is not None:
            return found, content.rest + octets[start:]
        found += content.feed(octets[start:cut])
        start = cut
    return found, content.rest


@pytest.mark.parametrize(
    ("octets", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b".a\r\n...\r\n.\r\n", b"a\r\n..\r\n", b""),
        (b"a\r\n", b"a", None),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
        (b"a.\r\n.\r\n.\r\n", b"a.\r\n", b".\r\n"),
    ],
)
def test_dots_are_unstuffed_and_the_end_is_found(octets, content, rest):
    assert read(octets) == (content, rest)


@given(octets=OCTETS, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_it_does_not_matter_where_blocks_are_cut(octets, cuts):
    whole, rest = read(octets + b"\r\n.\r\nNEXT")
    assert read(octets + b"\r\n.\r\nNEXT", cuts) == (whole, rest)


@given(content=OCTETS)
def test_stuffed_content_comes_back_as_it_was(content):
    content += b"\r\n"
    stuffed = b"".join(
        b"." + line if line.startswith(b".") else line for line in content.splitlines(keepends=True)
    )
    assert read(stuffed + b".\r\n") == (content, b"")


@pytest.mark.parametrize("cut", range(8))
@pytest.mark.parametrize(
    "octets",
    [
        b"a\nb\r\n.\r\n",
        b"a\rb\r\n.\r\n",
        b"a\n.\n\r\n.\r\n",
        b"a\r\n.\n\r\n.\r\n",
        b"a\r.\r\r\n.\r\n",
        b"\n.\r\n",
    ],
)
def test_cr_and_lf_never_stand_alone(octets, cut):
    with pytest.raises(BareNewline):
        read(octets, [cut])


def test_a_line_may_have_so_many_octets_and_no_more():
    assert read(b"x" * 1_000 + b"\r\n.\r\n", [300, 700])[1] == b""
    with pytest.raises(LineTooLong):
        read(b"x" * 1_001 + b"\r\n.\r\n", [300, 700])
    lines = Lines(10)
    for _ in range(100):
        lines.check(b"x\r\nyyyy\r\nz")


def test_what_is_held_back_stays_small():
    content = DottedContent(1 << 20)
    for _ in range(100):
        content.feed(b"x" * 1_000)
    assert len(content._held) < 5
