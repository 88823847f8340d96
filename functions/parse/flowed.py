"""format=flowed (RFC 3676): paragraphs that were broken into lines, put together again."""

from __future__ import annotations


def unflowed(text: str, *, delete_space: bool) -> str:
    """
    Return the text with its soft line breaks undone. Lines end with a line feed.

    Args:
        delete_space: DelSp=yes: the blank before a soft break is no part of the text (4.2).
    """
    out: list[str] = []
    open_depth: int | None = None  # quote depth of the paragraph that goes on; None when none does
    for line in text.split("\n"):
        stripped = line.lstrip(">")
        depth = len(line) - len(stripped)
        content = stripped.removeprefix(" ")  # space-stuffing (4.4)
        is_signature = content == "-- "  # never flowed (4.3)
        if open_depth == depth and not is_signature:
            out[-1] += content
        else:
            out.append(">" * depth + (" " if depth else "") + content)
        if content.endswith(" ") and not is_signature:
            open_depth = depth
            if delete_space:
                out[-1] = out[-1][:-1]
        else:
            open_depth = None
    return "\n".join(out)
