"""The settings and standards in docs/ are those that the code reads and cites, no more and no fewer."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mailchute.errors import BadSetting
from mailchute.settings import Reader

ROOT = Path(__file__).parents[2]
ROOMS = ("shared", "smtp-ingress", "connector", "functions", "cli", "template")
SETTINGS = re.compile(r"\bMAILCHUTE(?:_[A-Z0-9]+)+\b(?!_)(?![{<])")
SERVER = ROOT / "template" / "python3-mailchute" / "index.py"
READERS = sorted(
    (
        "smtp_ingress.settings",
        "connector.settings",
        *(f"functions.{path.parent.name}.settings" for path in (ROOT / "functions").glob("*/settings.py")),
    )
)


class Asked(dict[str, str]):
    """An environment in which nothing is set, and that remembers what was looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def test_every_setting_that_is_read_is_documented_and_no_other() -> None:
    documented = _documented()
    found = _read() | _written()
    files = {f"{name}_FILE" for name in documented}  # a secret's or a URL's file
    assert found - documented - files == set(), "add these to docs/operations.md"
    assert documented - found == set(), "nobody reads these"


def test_what_is_deployed_sets_documented_settings() -> None:
    assert set(SETTINGS.findall((ROOT / "stack.yml").read_text())) <= _documented()


def test_every_standard_the_code_cites_stands_in_the_list() -> None:
    cited: dict[str, str] = {}
    for path in _sources():
        for document in re.findall(r"\b(?:RFC \d{3,5}|ADR-\d+)\b", path.read_text()):
            cited.setdefault(document, str(path.relative_to(ROOT)))
    page = (ROOT / "docs" / "rfcs.md").read_text()
    rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("|"))
    listed = {f"RFC {number}" for number in re.findall(r"(?<!ADR-)\b\d{3,5}\b", rows)}
    listed |= set(re.findall(r"ADR-\d+", rows))
    assert {name: where for name, where in cited.items() if name not in listed} == {}


def _documented() -> set[str]:
    """Return the names in the first column of the page's tables."""
    rows = (
        line.split("|")[1]
        for line in (ROOT / "docs" / "operations.md").read_text().splitlines()
        if "|" in line
    )
    return {name for cell in rows for name in re.findall(r"`((?:MAILCHUTE_|max_inflight)[A-Z0-9_]*)`", cell)}


def _read() -> set[str]:
    """Return what each room looks for in its environment."""
    asked = Asked()
    classes = [importlib.import_module(name).Settings for name in READERS]
    for settings in (*classes, _server().Settings):
        takes_reader = "reader" in inspect.signature(settings.read).parameters
        with contextlib.suppress(BadSetting):  # something has to be set; by then it was looked for
            settings.read(Reader(asked) if takes_reader else asked)
    return {name for name in asked.names if name.startswith(("MAILCHUTE_", "max_"))}


def _written() -> set[str]:
    """Return the settings that stand in code, comments and messages by their whole names."""
    return {name for path in _sources() for name in SETTINGS.findall(path.read_text())}


def _server() -> Any:
    spec = importlib.util.spec_from_file_location("template_index", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(SERVER.parent))
    try:
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SERVER.parent))
        del sys.modules[spec.name]
    return module


def _sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in sorted((ROOT / room).rglob("*.py")) if "build" not in path.parts)
