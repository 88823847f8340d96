"""Which attachments a pattern means."""

from __future__ import annotations

import pytest
from mailchute.file_patterns import check_file_pattern, is_meant

CASES = [
    ("*", "a.pdf", "application/pdf", True),
    (".exe", "Setup.EXE", "application/octet-stream", True),
    (".exe", "exe", "text/plain", False),
    (".tar.gz", "a.tar.gz", "application/gzip", True),
    ("*.ex?", "a.exe", "application/octet-stream", True),
    ("invoice-??.pdf", "Invoice-12.pdf", "application/pdf", True),
    ("invoice-??.pdf", "invoice-123.pdf", "application/pdf", False),
    ("image/*", "a.png", "image/png", True),
    ("image/png", "image", "IMAGE/PNG", True),
    ("a(b", "a(b", "text/plain", True),
    ("a*b", "a\nb", "text/plain", True),
]


@pytest.mark.parametrize(("pattern", "filename", "media_type", "meant"), CASES)
def test_a_pattern_means_names_extensions_or_types(
    pattern: str, filename: str, media_type: str, meant: bool
) -> None:
    assert is_meant([check_file_pattern(pattern)], filename, (media_type, None)) is meant


def test_the_detected_type_counts_as_well_as_the_declared_one() -> None:
    assert is_meant(["application/x-msdownload"], "a.txt", ("text/plain", "application/x-msdownload"))


@pytest.mark.parametrize("pattern", ["", ".", "/", "a/", "/a", "a/b/c", "a\nb", "x" * 256])
def test_what_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"expected|understood|control"):
        check_file_pattern(pattern)


def test_a_pattern_of_many_stars_does_not_crawl() -> None:
    assert not is_meant(["*a" * 100 + "b"], "a" * 100_000, ())
