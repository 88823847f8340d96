"""
What a mail may cost us: limits found by one linear look at its octets, before anything reads it.

A mail over a limit is not dropped: it arrives degraded, with the raw mail beside it.
"""

from __future__ import annotations

# Header section. The stdlib's own reading of a 300 KB Subject of encoded words takes 11 s, so length is
# the first thing to bound; real mail stays far below (the longest real section in our corpus: 22 KB).
HEADER_SECTION_MAX_OCTETS = 256 * 1024
HEADER_FIELD_MAX_OCTETS = 64 * 1024  # a To of 1,000 addresses needs about 50 KB
HEADER_FIELDS_MAX_COUNT = 1_000
ADDRESSES_MAX_COUNT = 1_000  # of one field; RFC 5321, 4.5.3.1.8 promises no more than 100 recipients
PARAMETERS_MAX_COUNT = 50  # of one Content-Type; continuations of RFC 2231 included

# Structure. MTAs stop at 100 levels and mail clients at about 20; each level costs a search of its range.
DEPTH_MAX_COUNT = 50
PARTS_MAX_COUNT = 1_000
NESTED_MAIL_MAX_COUNT = 10  # message/rfc822 within message/rfc822

# Text. A browser stops nesting at 512; nh3 is quadratic in depth (50,000 levels: 9.3 s).
HTML_MAX_OCTETS = 2 * 1024 * 1024
HTML_DEPTH_MAX_COUNT = 256
TEXT_FOR_LINKS_MAX_CHARACTERS = 1024 * 1024
REPLY_MAX_CHARACTERS = 1024 * 1024  # nobody writes a reply that long
LINKS_MAX_COUNT = 1_000
FILENAME_MAX_CHARACTERS = 200  # most file systems take 255 octets


class LimitExceeded(Exception):
    """The mail goes over a limit; its text is the limit's name in `security.limits`."""
