"""The body, and its hash in the two canonical forms of RFC 6376, 3.4, at SHA-256's own speed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

CHUNK_OCTETS = 64 * 1024  # canonicalised at a time: only chunks with odd white space cost more than a look


class Body:
    """
    What follows the empty line.

    Args:
        content: The whole content; the body is not copied out of it.
        start: Where the body starts.
    """

    def __init__(self, content: bytes, start: int) -> None:
        self._content = content
        self._start = start
        self._digests: dict[tuple[bool, int | None], tuple[bytes, int]] = {}

    def __len__(self) -> int:
        return len(self._content) - self._start

    def digest(self, *, is_relaxed: bool, length: int | None = None) -> tuple[bytes, int]:
        """
        Return the SHA-256 of the canonical body, and how many octets the canonical body has.

        Args:
            length: How many octets of the canonical body to hash (`l=`); None is all.
        """
        key = (is_relaxed, length)
        if key not in self._digests:
            hasher, octets = hashlib.sha256(), 0
            for chunk in self._canonical(is_relaxed):
                hasher.update(chunk if length is None else chunk[: max(0, length - octets)])
                octets += len(chunk)
            self._digests[key] = hasher.digest(), octets
        return self._digests[key]

    def _canonical(self, is_relaxed: bool) -> Iterator[bytes | memoryview]:
        content, start = self._content, self._start
        if content.count(b"\n", start) != content.count(b"\r\n", start):
            # Transport form (6376, 5.3); an expression would keep millions of pieces at once.
            content, start = content[start:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), 0
        end = _text_end(content, start)
        tail = _relaxed(content[end:]) if is_relaxed else content[end:]
        tail = _without_empty_lines(tail)
        if tail or end > start or not is_relaxed:
            tail += b"\r\n"  # the empty body is CRLF when simple (3.4.3), nothing when relaxed (3.4.4)
        view = memoryview(content)
        while start < end:
            stop = content.find(b"\n", min(start + CHUNK_OCTETS, end), end) + 1 or end
            chunk = view[start:stop]
            yield _relaxed_chunk(content, start, stop, chunk) if is_relaxed else chunk
            start = stop
        yield tail


def _text_end(content: bytes, start: int) -> int:
    """Return where the last octet that is no white space ends: what follows may be empty lines."""
    end = len(content)
    while end > start:  # by chunks: bytes.rstrip would copy the whole content
        low = max(start, end - CHUNK_OCTETS)
        text = content[low:end].rstrip(b" \t\r\n")
        if text:
            return low + len(text)
        end = low
    return start


def _relaxed_chunk(content: bytes, start: int, stop: int, chunk: memoryview) -> bytes | memoryview:
    if (
        content.find(b"\t", start, stop) < 0
        and content.find(b"  ", start, stop) < 0
        and content.find(b" \r\n", start, stop) < 0
    ):
        return chunk
    return _relaxed(bytes(chunk))


def _relaxed(text: bytes) -> bytes:
    """Return `text`, which starts and ends between words of one line, in relaxed form (6376, 3.4.4)."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:  # halves each run: linear, where a regular expression can be made to crawl
        text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", b"\r\n")


def _without_empty_lines(tail: bytes) -> bytes:
    """Return white space without the CRLFs it ends with."""
    rest = tail.rstrip(b"\r\n")
    ends = tail[len(rest) :]
    if ends.endswith(b"\r"):
        return tail
    bare_cr = ends.rfind(b"\r\r")  # a CR that is not half of a CRLF is text
    return rest + ends[: bare_cr + 1]
