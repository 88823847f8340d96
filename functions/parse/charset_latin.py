"""Which charset undeclared octets of a Latin script are in: the one in which they spell a language."""

from __future__ import annotations

_ASCII = bytes(range(128))
# What stands in texts of any language and says nothing of it.
_SIGNS = frozenset("‘’‚“”„–—…•«»‹›©®™€£§°·´¨†‡‰\u00a0\u00ad")
_SHARE_MIN = 0.9  # of the letters beyond ASCII that a language must know: names and quotations hold others
_LEAD_MIN = 0.1  # over windows-1252, which is what most such mail is in
_LETTERS_MIN_COUNT = 2  # one letter is a chance

# Letters beyond ASCII by charset; of each line one language (or near relatives).
_ALPHABETS = {
    "windows-1252": (
        "äöüß",  # German
        "éèêëàâæçîïôœûùüÿ",  # French
        "áéíóúüñ¿¡",  # Spanish
        "ãõáéíóúâêôàçü",  # Portuguese
        "àèéìíòóù",  # Italian
        "åäöéæøü",  # Swedish, Danish, Norwegian, Finnish
        "éëèïöüêâôûá",  # Dutch, Frisian
        "áéíóúýþðæö",  # Icelandic
        "àçèéíïòóúü·",  # Catalan
    ),
    "windows-1250": (
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíĺľňóôŕšťúýž",  # Slovak
        "ąćęłńóśźż",  # Polish
        "áéíóöőúüű",  # Hungarian
        "ăâîşţ",  # Romanian
        "čćđšž",  # Croatian, Slovene, Serbian
    ),
    "windows-1254": ("çğıöşüâîû",),  # Turkish
    "windows-1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),  # Lithuanian, Latvian, Estonian
}
_ALPHABETS["iso-8859-2"] = _ALPHABETS["windows-1250"]
_CODECS = {"iso-8859-2": "iso8859-2"} | {f"windows-{n}": f"cp{n}" for n in (1250, 1252, 1254, 1257)}
_KNOWN = {
    charset: [
        frozenset(letters + letters.upper() + ("İI" if "ı" in letters else "")) for letters in alphabets
    ]
    for charset, alphabets in _ALPHABETS.items()
}
_ICELANDIC_TOO = frozenset("áéíóæÁÉÍÓÆ")  # without these, þ ð ý are the ş ğ ı of Turkish in another charset


def latin_charset(octets: bytes) -> tuple[str, float]:
    """
    Return the charset in which the octets spell a language best, and how well: 1 when every letter is one
    of that language. windows-1252 unless another is clearly better.
    """
    high = octets.translate(None, _ASCII)
    shares = {charset: _share(high, charset) for charset in _KNOWN}
    western = shares.pop("windows-1252")
    best = max(shares, key=lambda charset: shares[charset])
    if shares[best] >= _SHARE_MIN and shares[best] > western + _LEAD_MIN:
        return best, shares[best]
    return "windows-1252", western


def _share(high: bytes, charset: str) -> float:
    text = high.decode(_CODECS[charset], "replace")
    letters = [char for char in text if char not in _SIGNS]
    if len(letters) < _LETTERS_MIN_COUNT:
        return float(charset == "windows-1252")
    known = [each for each in _KNOWN[charset] if "þ" not in each or not _ICELANDIC_TOO.isdisjoint(letters)]
    return max(sum(1 for char in letters if char in each) for each in known) / len(letters)
