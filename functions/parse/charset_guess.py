"""Which charset undeclared 8-bit octets are in: by what is possible, then by what is likely."""

from __future__ import annotations

import re

from .charset_latin import latin_charset

SAMPLE_OCTETS = 16 * 1024  # enough to tell, and keeps the cost of a hostile text bounded

# Kana, then common ideographs and Hangul, decoded: what real text of that language is made of.
_KANA = re.compile(r"[\u3040-\u30ff]")
_KANJI_COMMON = frozenset(
    "日人大年会本中長国出上生子分東三同今高金時手見市力米自前円合立内二事社者地京間田体学下目五後新明方部八心四民対主正代言"
    "九小思七山実入回場野開万全定家北六問話文動度県水安氏和政保表道相意発不党郎様件名株式議資料添付佐藤鈴木橋村太井川林清"
)
_HANGUL_COMMON = frozenset(
    "이다는을를의에가고하지기도로은서사한자인요니어아해있시리나대라과들그수일것보제정안녕세감합까주여오만스전부으상장성동"
)
_HAN_COMMON = frozenset(
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
    "這個來國說們為時年得會對過學後麼沒還發開見經頭從動兩長您請謝謝謝此信件先生小姐"
    "您请谢谢此信件邮件先生小姐\u3000，。"
)
_CYRILLIC_COMMON = frozenset("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё")


def guessed_charset(octets: bytes) -> str:
    """Return the name of the likeliest charset of octets that are not UTF-8 and declare nothing that fits."""
    sample = octets[:SAMPLE_OCTETS]
    if (cut := len(sample)) == SAMPLE_OCTETS:
        cut = max(sample.rfind(b" "), sample.rfind(b"\n")) + 1 or cut  # not within a character
    sample = sample[:cut]
    if _is_latin(sample):
        latin, share = latin_charset(sample)
        if share >= _SPELT_MIN or not _has_lead_octets(sample):
            return latin
    best_name, best_score = "windows-1252", 0.3
    for name, codec, score_of in _CANDIDATES:
        try:
            text = sample.decode(codec)
        except UnicodeDecodeError:
            continue
        score = score_of(text)
        if score > best_score:
            best_name, best_score = name, score
    return best_name


def _share(text: str, count: int) -> float:
    return count / max(1, sum(1 for char in text if char > "\x7f"))


def _japanese(text: str) -> float:
    half_width = sum(1 for char in text if "\uff61" <= char <= "\uff9f")  # what cp932 makes of most octets
    kanji = sum(1 for char in text if char in _KANJI_COMMON)
    return _share(text, len(_KANA.findall(text)) + kanji - 2 * half_width) + 0.25


def _korean(text: str) -> float:
    return _share(text, sum(1 for char in text if char in _HANGUL_COMMON)) * 2.2


def _chinese(text: str) -> float:
    return _share(text, sum(1 for char in text if char in _HAN_COMMON)) * 2.5


def _cyrillic(text: str) -> float:
    """Russian is mostly common small letters; the wrong charset makes capitals or rare ones of them."""
    common = sum(1 for char in text if char in _CYRILLIC_COMMON)
    vowels = sum(1 for char in text if char in "оеаи")
    return 0.6 * _share(text, common) + 0.8 * _share(text, vowels)


def _greek(text: str) -> float:
    accented = sum(1 for char in text if char in "άέήίόύώ")
    small = sum(1 for char in text if "\u03ac" <= char <= "\u03ce")
    return _share(text, small) * (0.95 if accented else 0.5)


def _hebrew(text: str) -> float:
    marks = sum(
        1 for char in text if "\u05b0" <= char <= "\u05c3"
    )  # vowel points: nobody writes them in mail
    return _share(text, sum(1 for char in text if "\u05d0" <= char <= "\u05ea") - 3 * marks) * 0.9


def _arabic(text: str) -> float:
    letters = sum(1 for char in text if "\u0621" <= char <= "\u064a")
    articles = sum(1 for char in text if char in "ال")  # a quarter of any Arabic text
    return 0.95 * _share(text, letters) if _share(text, articles) > 0.12 else 0.0


def _thai(text: str) -> float:
    letters = sum(1 for char in text if "\u0e01" <= char <= "\u0e5b")
    common = [char for char in text if char in "านรกอเง่้"]
    return 0.95 * _share(text, letters) if len(set(common)) > 3 and _share(text, len(common)) > 0.25 else 0.0


def _is_latin(octets: bytes) -> bool:
    """Say whether accented letters stand one by one among ASCII letters; runs of them are another script."""
    high = sum(1 for octet in octets if octet >= 0x80)
    return sum(map(len, _ACCENTS.findall(octets))) > 0.55 * high


def _has_lead_octets(octets: bytes) -> bool:
    """Say whether there are octets that Western mail hardly uses: 0x80-0x9F but quotation marks."""
    high = sum(1 for octet in octets if octet >= 0x80)
    return len(_LEAD_ONLY.findall(octets)) * 10 > high


_SPELT_MIN = 0.9  # of the letters, for octets that another script could be made of
_ACCENTS = re.compile(
    rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])|(?<=[a-zA-Z])[\x80-\xff]{2}(?![\x80-\xff])"  # "é", "üß"
)
_LEAD_ONLY = re.compile(rb"[\x81-\x84\x86-\x90\x98\x9a-\x9f]")

_CANDIDATES = (
    ("shift_jis", "cp932", _japanese),
    ("euc-jp", "euc_jp", _japanese),
    ("euc-kr", "cp949", _korean),
    ("gb18030", "gb18030", _chinese),
    ("big5", "cp950", _chinese),
    ("windows-1251", "cp1251", _cyrillic),
    ("koi8-r", "koi8-r", _cyrillic),
    ("ibm866", "cp866", _cyrillic),
    ("windows-1253", "cp1253", _greek),
    ("windows-1255", "cp1255", _hebrew),
    ("windows-1256", "cp1256", _arabic),
    ("windows-874", "cp874", _thai),
)
