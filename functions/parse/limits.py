"""
What a mail may cost us: limits found by one linear look at its octets, before anything reads it.

A mail over a limit is not dropped: it arrives degraded, with the raw mail beside it.
"""

from __future__ import annotations

# Header section. The stdlib's own reading of a 300 KB Subject of encoded words takes 11 s, so length is
# the first thing to bound; real mail stays far below (the longest real section in our corpus: 22 KB).
HEADER_SECTION_MAX_OCTETS = 256 * 1024  # ten times the longest
HEADER_FIELD_MAX_OCTETS = 64 * 1024  # a To of 1,000 addresses needs about 50 KB
HEADER_FIELDS_MAX_COUNT = 1_000  # ten times the most in our corpus; a field costs 3 µs
ADDRESSES_MAX_COUNT = 1_000  # of one field; RFC 5321, 4.5.3.1.8 promises no more than 100 recipients
PARAMETERS_MAX_COUNT = 50  # of one field; a file name of 200 characters in the smallest pieces of RFC 2231

# Structure. MTAs stop at 100 levels and mail clients at about 20; each level costs a search of its range.
DEPTH_MAX_COUNT = 50
PARTS_MAX_COUNT = 1_000  # ten times the largest digest in our corpus; a part costs 20 µs
NESTED_MAIL_MAX_COUNT = 10  # a mail that was attached, and that attached, by ten people one after the other

# Text. A browser stops nesting at 512; nh3 is quadratic in depth (50,000 levels: 9.3 s).
HTML_MAX_OCTETS = 2 * 1024 * 1024  # mail clients cut at 102 KB (Gmail); 2 MB take the engines 0.1 s
HTML_DEPTH_MAX_COUNT = 256  # markdownify recurses, and gives up at about 330
TEXT_FOR_LINKS_MAX_CHARACTERS = 1024 * 1024  # a novel; 0.2 s when it is nothing but dots
REPLY_MAX_CHARACTERS = 1024 * 1024  # nobody writes a reply that long
LINKS_MAX_COUNT = 1_000  # the largest newsletters hold some hundred; each stands in the payload
FILENAME_MAX_CHARACTERS = 200  # most file systems take 255 octets


class LimitExceeded(Exception):
    """The mail goes over a limit; its text is the limit's name in `security.limits`."""
