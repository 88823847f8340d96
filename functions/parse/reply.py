"""
A reply taken apart: what was written now, what is quoted, the signature.

Line by line and linear; every line ends up in exactly one of the three.
"""

from __future__ import annotations

import re

from mailchute.payload import Reply

_WROTE = (
    r"wrote|writes|said|schrieb|a [ée]crit|[ée]crit|escribi[óo]|escreveu|ha scritto|scrisse|schreef|skrev|"
    r"kirjoitti|napisał\(?a?\)?|napsal\(?a?\)?|пишет|написала?|писал|írta|yazdı|a scris|έγραψε|"
    r"写道|寫道|のメール|wrote the following|geschreven"
)
# "On <date>, <name> wrote:" in one line, or broken into up to four by the mailer's line length.
_ATTRIBUTION = re.compile(
    rf"(?:^|\s|,|>)(?:{_WROTE})\s*[::]?\s*\Z|(?:{_WROTE})[^:]{{0,200}}[::]\s*\Z", re.IGNORECASE
)
_ATTRIBUTION_START = re.compile(
    r"\s*(?:on|am|le|el|em|il|op|den|dnia|dne|em|pe|в|\d{1,4}[./-]\d|(?:mon|tue|wed|thu|fri"
    r"|sat|sun)\w*,?\s|пн|вт|ср|чт|пт|сб|вс"
    r"|\S[^<>]{0,80}<[^<>\s]+@|\S[^\[]{0,80}\[mailto:|\d{4}年)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(
    r"\s*[-_*]{2,}\s*(?:original message|original appointment|forwarded message|forwarded by .*|reply message"
    r"|urspr[üu]ngliche nachricht|weitergeleitete nachricht|message d'origine|mensaje original"
    r"|mensagem original"
    r"|messaggio originale|oorspronkelijk bericht|ursprungligt meddelande"
    r"|oprindelig meddelelse|wiadomość oryginalna"
    r"|исходное сообщение|пересланное сообщение|alkuperäinen viesti|原始邮件|元のメッセージ)\s*[-_*]*\s*\Z"
    r"|begin forwarded message:\s*\Z|-{3,}\s*en date de\b",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"\s*\*?(?:from|von|de|van|da|fra|från|od|от|发件人|寄件者|差出人|lähettäjä)\s?\*?[::]\*?\s*\S",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"\s*\*?(?:sent|date|to|subject|gesendet|datum|an|betreff|envoy[ée]|[àa]|objet|enviado"
    r"|enviada em|para|asunto|assunto"
    r"|verzonden|aan|onderwerp|inviato|data|oggetto|sendt|til|emne|skickat|till|ämne|wysłano"
    r"|do|temat|отправлено|кому|тема"
    r"|发送时间|收件人|主题|cc)\s?\*?[::]",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*[_-]{10,}\s*\Z")
_SENT_FROM = re.compile(
    r"\s*(?:sent (?:from|via) (?:my |mail for |the |outlook|yahoo|samsung|\w+ mobile)"
    r"|get outlook for|sent using\s"
    r"|von meinem .{1,40} gesendet|gesendet (?:von|mit)\s|envoy[ée] (?:de|depuis) (?:mon|ma|l)"
    r"|enviado (?:desde|de|do) (?:mi|meu|mon)"
    r"|inviato (?:da|dal) (?:mio|i)|verstuurd vanaf|verzonden vanaf|skickat fr[åa]n min"
    r"|sendt fra min|отправлено (?:с|из)\s"
    r"|wysłane z|iphone.{0,10}から送信|发自我的)[^,;!?]{0,60}\Z",
    re.IGNORECASE,
)
_DASH_NAME = re.compile(r"\s*(?:--|—|-)\s?[A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,3}\s*\Z")
_MAILING_LIST = re.compile(r"_{20,}\s*\Z")

_MAY_QUOTE = re.compile("[>:：]|--|__|のメール")  # a text without these quotes nothing
_OWN, _QUOTED, _SIGNATURE = range(3)


def split_reply(text: str) -> Reply | None:
    """Return the parts of this text, or None when all of it was written now."""
    lines = text.split("\n")
    kinds = _kinds(lines) if _MAY_QUOTE.search(text) else [_OWN] * len(lines)
    _mark_signature(lines, kinds, has_delimiter="--" in text or "__" in text)
    if all(kind == _OWN for kind in kinds):
        return None
    parts = ["\n".join(line for line, k in zip(lines, kinds, strict=True) if k == kind) for kind in range(3)]
    return Reply(
        text=parts[_OWN].strip(), quoted=parts[_QUOTED].strip("\n"), signature=parts[_SIGNATURE].strip()
    )


def _kinds(lines: list[str]) -> list[int]:
    kinds = [_OWN] * len(lines)
    ends = [
        line.rstrip().endswith((":", "：", "のメール")) for line in lines
    ]  # what introduces a quotation ends so
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.startswith((">", " >")):
            kinds[index] = _QUOTED
        elif line.strip():
            if (":" in line or "--" in line or "__" in line or "：" in line) and _begins_rest(lines, index):
                kinds[index:] = [_QUOTED] * (len(lines) - index)
                break
            taken = _attribution_lines(lines, index) if any(ends[index : index + 4]) else 0
            if taken:
                following = index + taken
                if not _is_quoted_soon(lines, following):
                    kinds[index:] = [_QUOTED] * (len(lines) - index)
                    break
                kinds[index:following] = [_QUOTED] * taken
                index = following
                continue
        index += 1
    return kinds


def _begins_rest(lines: list[str], index: int) -> bool:
    """Say whether all that follows is quoted: a separator, or header fields as Outlook shows them."""
    line = lines[index]
    if _SEPARATOR.match(line):
        return True
    if _RULE.match(line):
        after = next((each for each in lines[index + 1 : index + 4] if each.strip()), "")
        return bool(_FROM.match(after))
    if not _FROM.match(line):
        return False
    block = [each for each in lines[index + 1 : index + 6] if each.strip()]
    return sum(1 for each in block if _SENT.match(each)) >= 2


def _attribution_lines(lines: list[str], index: int) -> int:
    """Return how many lines from here introduce a quotation, 0 when none do."""
    if len(lines[index]) > 500 or not _ATTRIBUTION_START.match(lines[index]):
        return 0
    joined = ""
    for count in range(1, 5):
        if index + count > len(lines):
            return 0
        line = lines[index + count - 1].strip()
        if not line and count > 1:
            return 0
        joined += f" {line[:500]}"
        if _ATTRIBUTION.search(joined):
            return count
    return 0


def _is_quoted_soon(lines: list[str], index: int) -> bool:
    following = [line for line in lines[index : index + 4] if line.strip()]
    return any(line.lstrip().startswith(">") for line in following[:2])


def _mark_signature(lines: list[str], kinds: list[int], *, has_delimiter: bool) -> None:
    """Mark the signature: from its delimiter on, or the last lines where they look like one."""
    for index, line in enumerate(lines) if has_delimiter else ():
        if kinds[index] == _OWN and (line.rstrip() == "--" or line == "-- " or _MAILING_LIST.match(line)):
            _mark_until_quoted(kinds, index)
            return
    own = [index for index, line in enumerate(lines) if kinds[index] == _OWN and line.strip()]
    for position, index in enumerate(reversed(own[-4:])):
        is_last = position == 0
        if _SENT_FROM.match(lines[index]) or (is_last and len(own) > 1 and _DASH_NAME.match(lines[index])):
            _mark_until_quoted(kinds, index)
            return


def _mark_until_quoted(kinds: list[int], start: int) -> None:
    for index in range(start, len(kinds)):
        if kinds[index] != _OWN:
            break
        kinds[index] = _SIGNATURE
