"""A value of a YAML file that knows its line and its place, and notes what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import yaml

from mailchute.errors import BadSetting

FILE_MAX_OCTETS = 4 * 1024 * 1024  # some 20,000 aliases


Value = TypeVar("Value")


class Mistakes:
    """What is wrong with one file, line by line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._lines: list[tuple[int, str]] = []

    def note(self, line: int, text: str) -> None:
        if (line, text) not in self._lines:
            self._lines.append((line, text))

    def check(self) -> None:
        """
        Raises:
            BadSetting: One line per mistake, each beginning `file:line:`.
        """
        if self._lines:
            raise BadSetting("\n".join(f"{self.file}:{line}: {text}" for line, text in sorted(self._lines)))


@dataclass(frozen=True)
class Located:
    """One node of the file, and what leads to it."""

    node: yaml.Node
    where: str  # "domains › inbox.test"; "" for the whole file
    mistakes: Mistakes

    @property
    def line(self) -> int:
        return self.node.start_mark.line + 1

    def wrong(self, text: str) -> None:
        self.mistakes.note(self.line, f"{self.where}: {text}" if self.where else text)

    def entries(self, of: str) -> dict[str, Located]:
        """Return the values of a mapping by their keys as they are written; {} where it is none."""
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong(f"expected {of}, found {_kind_of(self.node)}")
            return {}
        found: dict[str, Located] = {}
        for key, value in self.node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.note(key.start_mark.line + 1, f"{self.where}: a key must be plain text")
                continue
            where = f"{self.where} › {key.value}" if self.where else key.value
            if key.value in found:
                self.mistakes.note(
                    key.start_mark.line + 1,
                    f"{where}: stands here a second time (first in line {found[key.value].key_line})",
                )
                continue
            found[key.value] = _Entry(value, where, self.mistakes, key.start_mark.line + 1)
        return found

    def fields(
        self, known: tuple[str, ...], *, refused: Mapping[str, str] | None = None
    ) -> dict[str, Located]:
        """
        Return the fields of a mapping whose keys are fixed; each other key is a mistake.

        Args:
            refused: Keys that mean something and cannot be had yet, with what to say.
        """
        found = self.entries(f"a mapping with {', '.join(known)}")
        for key, value in found.items():
            if refused and key in refused:
                value.wrong_key(refused[key])
            elif key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
                value.wrong_key(f"unknown key; {hint}")
        return {key: value for key, value in found.items() if key in known}

    def elements(self, of: str) -> list[Located]:
        """Return the elements of a list; [] where it is none."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.wrong(f"expected a list of {of}, found {_kind_of(self.node)}")
            return []
        return [
            Located(node, f"{self.where}[{index}]", self.mistakes)
            for index, node in enumerate(self.node.value)
        ]

    @property
    def is_text(self) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and not self.node.tag.endswith(":null")

    def text(self, of: str) -> str | None:
        """Return what is written, whatever YAML would take it for; None where it is no text."""
        if not self.is_text:
            self.wrong(f"expected {of}, found {_kind_of(self.node)}")
            return None
        return str(self.node.value)

    def checked(self, check: Callable[[str], Value], of: str) -> Value | None:
        """Return what `check` makes of the text; None, and its ValueError noted, where it refuses."""
        text = self.text(of)
        if text is None:
            return None
        try:
            return check(text)
        except ValueError as error:
            self.wrong(str(error))
            return None

    def checked_key(self, check: Callable[[str], Value], key: str) -> Value | None:
        """Return what `check` makes of this entry's key; else as checked."""
        try:
            return check(key)
        except ValueError as error:
            self.wrong_key(str(error))
            return None

    def choice(self, allowed: tuple[str, ...]) -> str | None:
        value = self.text(f"one of {', '.join(allowed)}")
        if value is not None and value not in allowed:
            near = difflib.get_close_matches(value, allowed, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(allowed)}"
            self.wrong(f"{value!r} is unknown; {hint}")
            return None
        return value

    def flag(self) -> bool | None:
        value = self.text("true or false")
        if value is None or self.node.tag.endswith(":bool"):
            return None if value is None else value.lower() in ("true", "yes", "on")
        self.wrong(f"expected true or false, found {value!r}")
        return None

    def number(self, low: float, high: float) -> float | None:
        value = self.text(f"a number from {low:g} to {high:g}")
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            self.wrong(f"{value} is not a number from {low:g} to {high:g}")
            return None
        return number

    def wrong_key(self, text: str) -> None:
        self.wrong(text)

    @property
    def key_line(self) -> int:
        return self.line


@dataclass(frozen=True)
class _Entry(Located):
    """A mapping's value; what is wrong with its key is said in the key's line."""

    line_of_key: int

    def wrong_key(self, text: str) -> None:
        self.mistakes.note(self.line_of_key, f"{self.where}: {text}")

    @property
    def key_line(self) -> int:
        return self.line_of_key


def given(fields: Mapping[str, Located], key: str, read: Callable[[Located], Value | None]) -> Value | None:
    """Return what `read` makes of a field; None where the field is not there."""
    return read(fields[key]) if key in fields else None


def located(text: str, mistakes: Mistakes) -> Located:
    """
    Return the whole file.

    Raises:
        BadSetting: It is not one YAML document.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        mistakes.note(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mistakes.note(1, f"not YAML: {str(error).splitlines()[0] or type(error).__name__}")
    else:
        if node is not None:
            return Located(node, "", mistakes)
        mistakes.note(1, "the file is empty; expected `version: 1` and `domains:`")
    mistakes.check()
    raise AssertionError("a mistake was noted")


def _kind_of(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if node.tag.endswith(":null") else f"{node.value!r}"
