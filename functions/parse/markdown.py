"""HTML to Markdown, by html-to-markdown or markdownify (docs/adr/0002-html-to-markdown.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import html_to_markdown
from html_to_markdown import _html_to_markdown as native

from .markup import without_unseen

Engine = Literal["html-to-markdown", "markdownify"]
ENGINES: tuple[Engine, ...] = ("html-to-markdown", "markdownify")

_OPTIONS = (
    html_to_markdown.api._to_rust_conversion_options(  # each call through `convert` does this again: 0.06 ms
        html_to_markdown.ConversionOptions(
            extract_metadata=False,  # it would put a front matter with the title before the text
            inline_data_media="alt_text_only",  # a data: URL of 1 MB says nothing to a reader of Markdown
            compact_tables=True,
        )
    )
)


def markdown_of(html: str, engine: Engine = "html-to-markdown") -> str:
    """
    Return the HTML as Markdown.

    The HTML must be within the limits of depth and size: both engines recurse. When one engine
    refuses the other is asked.

    Raises:
        ValueError: Both refuse.
    """
    refusals: list[str] = []
    for name in sorted(ENGINES, key=lambda each: each != engine):
        try:
            return markdown_by(name, html)
        except (Exception, RecursionError) as error:  # noqa: BLE001 - what either raises is not documented
            refusals.append(f"{name}: {type(error).__name__}")
    raise ValueError("; ".join(refusals))


def markdown_by(engine: Engine, html: str) -> str:
    """Return what this engine makes of it; raises what the engine raises."""
    return _ENGINES[engine](html).strip()


def _by_html_to_markdown(html: str) -> str:
    content = native.convert(html=html, options=_OPTIONS, visitor=None).content
    if content is None:
        raise ValueError("no content")
    return str(content)


def _by_markdownify(html: str) -> str:
    import markdownify  # noqa: PLC0415 - seldom needed, and a third of a second of every start

    return str(markdownify.markdownify(without_unseen(html), heading_style="ATX"))


_ENGINES: dict[Engine, Callable[[str], str]] = {
    "html-to-markdown": _by_html_to_markdown,
    "markdownify": _by_markdownify,
}
