"""format=flowed (RFC 3676): paragraphs that were broken into lines, put together again."""

from __future__ import annotations


def unflowed(text: str, *, delete_space: bool) -> str:
    """
    Return the text with its soft line breaks undone. Lines end with a line feed.

    Args:
        delete_space: DelSp=yes: the blank before a soft break is no part of the text (4.2).
    """
    out: list[str] = []  # pieces, line ends among them: a paragraph of many lines is not copied for each
    open_depth: int | None = None  # quote depth of the paragraph that goes on; None when none does
    for number, line in enumerate(text.split("\n")):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # space-stuffing (4.4)
        is_signature = content == "-- "  # never flowed (4.3)
        if open_depth != depth or is_signature:
            if number:
                out.append("\n")
            out.append(">" * depth + (" " if depth else ""))
        is_soft = content.endswith(" ") and not is_signature
        out.append(content[:-1] if is_soft and delete_space else content)
        open_depth = depth if is_soft else None
    return "".join(out)
