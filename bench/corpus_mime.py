"""MIME trees with known truth: mime4j (octets), mailcore2 (leaves, names), MimeKit (headers, trees)."""

from __future__ import annotations

import email
import email.message
import email.policy
import email.utils
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import mailparser
from mailchute.author import author_of

from bench.corpus_score import CORPUS, MAIL_PARSER, OURS, STDLIB, Score, attempt
from functions.parse.bodies import disposition_of
from functions.parse.entity import Entity, read_mail
from functions.parse.words import text_of

# Where we read otherwise than the truth and mean it.
_CUT_BASE64 = (
    "base64 cut short within a group of four: mime4j drops the two octets it still says, we keep them"
)
_BLANK_SEPARATOR = (
    "a line of one blank for the empty line: mime4j takes the text below for the last field and drops it; "
    "we show it, as the message itself asks for"
)
_NO_HEADER = (
    "says of itself that all of it is body; mime4j has two truths for these octets, neither with both lines"
)
_NO_PARTS = "mailcore2 finds no parts in it; our tree is MimeKit's, part for part"
MEANT = {
    "frag_decoded_1_2_1_2_1_2_1_2.bin": _CUT_BASE64,
    "multi-frag_decoded_1_3_2.bin": _CUT_BASE64,
    "hdr-fakeout_decoded_1.txt": _BLANK_SEPARATOR,
    "basic-plain-with-bad-header-separator_decoded_1.txt": _BLANK_SEPARATOR,
    "malformedHeader-noheader_decoded_1.txt": _NO_HEADER,
    "malformedHeaderStartsBody-noheader_decoded_1.txt": _NO_HEADER,
    "malformedHeaderStartsBody-nocrlfcrlf_decoded_1.txt": (
        "a line without a name between two fields: mime4j has two truths for these octets; ours is the other"
    ),
    "22": _NO_PARTS,
    "41": _NO_PARTS,
    "132": "no boundary is declared: mailcore2 finds no parts, we find MimeKit's by the looks of them",
    "5": "a nested mail begins with a line that is no field: mailcore2 reads a text, we read MimeKit's parts",
    "86": "two @ in an address: shown as written and never trusted; MimeKit drops the second part",
}


def mime4j() -> tuple[Score, Score]:
    """Return how many leaves have the octets mime4j decodes, and how many of those lose none of them."""
    equal, kept = Score("mime4j leaves, equal"), Score("mime4j leaves, nothing lost")
    for truth_file in sorted((CORPUS / "mime/mime4j").rglob("*_decoded.xml")):
        message = truth_file.with_name(truth_file.name.replace("_decoded.xml", ".msg"))
        octets = message.read_bytes()
        ours = [_lines(leaf.body()) for leaf in all_leaves(read_mail(octets))]
        stdlib = [
            _lines(_payload(part))
            for part in email.message_from_bytes(octets).walk()
            if not part.is_multipart()
        ]
        peer: list[bytes] = attempt(partial(_mail_parser_leaves, octets), [])
        for number, leaf_file in enumerate(_leaf_files(truth_file)):
            name, truth = leaf_file.name, _lines(leaf_file.read_bytes())
            equal.add(
                name,
                truth,
                {
                    OURS: _at(ours, number),
                    STDLIB: _at(stdlib, number),
                    MAIL_PARSER: truth if truth in peer else None,
                },
            )
            holds = {OURS: truth in (_at(ours, number) or b""), STDLIB: truth in (_at(stdlib, number) or b"")}
            kept.add(name, True, dict(holds))
    named = {path for truth in (CORPUS / "mime/mime4j").rglob("*_decoded.xml") for path in _leaf_files(truth)}
    found = {path for path in (CORPUS / "mime/mime4j").rglob("*") if re.search(r"_decoded_\d", path.name)}
    equal.uncounted = sorted(f"{path.name} (no tree names it)" for path in found - named)
    return equal, kept


def _leaf_files(truth_file: Path) -> list[Path]:
    names = re.findall(r'<(?:text|binary)-body name="([^"]+)"', truth_file.read_text("latin-1"))
    return [truth_file.with_name(name) for name in names]


def mailcore2() -> tuple[Score, Score]:
    """Return how many messages have as many leaves, and how many file names are the same."""
    leaves, names = Score("mailcore2 leaf counts"), Score("mailcore2 file names")
    folder = CORPUS / "mime/mailcore2/parser"
    for truth_file in sorted(path for path in (folder / "output").rglob("*") if path.is_file()):
        message = folder / "input" / truth_file.relative_to(folder / "output")
        truth: dict[str, Any] = attempt(partial(json.loads, truth_file.read_bytes()), {})
        if "mainPart" not in truth:
            continue
        expected = list(_mailcore_leaves(truth["mainPart"]))
        if not message.exists():
            leaves.uncounted.append(message.name)
            names.uncounted += [f"{message.name} {filename}" for _, filename in expected if filename]
            continue
        octets = message.read_bytes()
        ours = [
            leaf
            for leaf in all_leaves(read_mail(octets), into_external=False)
            if not _is_empty_multipart(leaf)
        ]
        stdlib = [p for p in email.message_from_bytes(octets).walk() if not p.is_multipart()]
        leaves.add(message.name, len(expected), {OURS: len(ours), STDLIB: len(stdlib)})
        for number, (_, filename) in enumerate(expected):
            if filename:
                own = disposition_of(ours[number])[1] if number < len(ours) else None
                other = attempt(lambda n=number, s=stdlib: s[n].get_filename(), None)  # type: ignore[misc]
                names.add(f"{message.name} {filename}", filename, {OURS: own, STDLIB: other})
    return leaves, names


def jwz() -> tuple[Score, Score, Score]:
    """Return how many From fields, Subject fields and trees are MimeKit's."""
    froms, subjects, trees = Score("jwz From"), Score("jwz Subject"), Score("jwz trees")
    summary = (CORPUS / "mime/mimekit-jwz/jwz-summary.txt").read_text()
    for number, block in enumerate((each for each in summary.split("\n\n") if each.strip()), 1):
        message = CORPUS / "mime/mailcore2/parser/input/mbox/jwz" / str(number)
        if not message.exists():
            for score in (froms, subjects, trees):
                score.uncounted.append(str(number))
            continue
        octets = message.read_bytes()
        root, parsed = read_mail(octets), email.message_from_bytes(octets, policy=email.policy.default)
        fields, tree = _summary_of(block)
        trees.add(str(number), tree, {OURS: list(_tree(root, 0))})
        if "From" in fields:
            shown = ", ".join(_shown(box.name, box.email) for box in author_of(octets).mailboxes)
            other = attempt(lambda p=parsed: str(p["from"]), "")  # type: ignore[misc]
            reading = ", ".join(_shown(*pair) for pair in email.utils.getaddresses([other]))
            truth = fields["From"].casefold()
            froms.add(str(number), truth, {OURS: shown.casefold(), STDLIB: reading.casefold()})
        if "Subject" in fields:
            own = text_of(root.section.first("subject") or b"")
            other = attempt(lambda p=parsed: str(p["subject"]).strip(), "")  # type: ignore[misc]
            subjects.add(str(number), fields["Subject"].strip(), {OURS: own, STDLIB: other})
    return froms, subjects, trees


def all_leaves(entity: Entity, *, into_external: bool = True) -> Iterator[Entity]:
    """Yield the leaves of a tree, those of nested mails too."""
    if entity.children and (into_external or entity.media_type != "message/external-body"):
        for child in entity.children:
            yield from all_leaves(child, into_external=into_external)
    else:
        yield entity


def _is_empty_multipart(entity: Entity) -> bool:
    return entity.media_type.startswith("multipart/")


def _lines(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _at(leaves: list[bytes], number: int) -> bytes | None:
    return leaves[number] if number < len(leaves) else None


def _payload(part: email.message.Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _mail_parser_leaves(octets: bytes) -> list[bytes]:
    parsed: Any = mailparser.parse_from_bytes(octets)
    texts = [*parsed.text_plain, *parsed.text_html]
    return [_lines(text.encode()) for text in texts]


def _mailcore_leaves(part: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    if "parts" in part:
        for each in part["parts"]["items"]:
            yield from _mailcore_leaves(each)
    elif "mainPart" in part:
        yield from _mailcore_leaves(part["mainPart"])
    else:
        yield part.get("mimeType", "").lower(), part.get("filename")


def _summary_of(block: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    fields: dict[str, str] = {}
    tree: list[tuple[int, str]] = []
    for line in block.split("\n")[1:]:
        match = re.match(r"( *)Content-Type: (\S+)", line)
        if match:
            tree.append((len(match[1]) // 3, match[2].lower()))
        else:
            name, _, value = line.partition(": ")
            fields[name] = value
    return fields, tree


def _tree(entity: Entity, depth: int) -> Iterator[tuple[int, str]]:
    yield depth, entity.media_type
    for child in entity.children:
        yield from _tree(child, depth + 1)


def _shown(name: str | None, address: str) -> str:
    return f'"{name}" <{address}>' if name else address


def messages() -> Iterator[Path]:
    """Yield every file of the corpus that is a message."""
    ignored = (
        ".xml",
        ".out",
        ".html",
        ".json",
        ".md",
        ".bin",
        ".png",
        ".jpg",
        ".gif",
        ".pdf",
        ".go",
        ".golden",
    )
    for folder in ("mime", "bounces", "replies", "reports"):
        for path in sorted((CORPUS / folder).rglob("*")):
            is_truth = "_decoded" in path.name or "/output/" in path.as_posix() or path.name.startswith("_")
            if path.is_file() and not is_truth and not path.name.lower().endswith(ignored):
                yield path
