"""A module is a noun with a sentence at its top and fits one sitting; nothing leads out of the project."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = tuple(
    subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
)
MODULES = tuple(
    name for name in TRACKED if name.endswith(".py") and (ROOT / name).is_file() and "versions/" not in name
)
ROOMS = ("cli/", "connector/", "functions/", "shared/", "smtp-ingress/", "template/")
IN_ROOMS = tuple(name for name in MODULES if name.startswith(ROOMS))
MAX_LINES = 250
MAX_LINES_OF_A_HANDLER = 60
NO_NOUNS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "core", "misc", "tools"}
ABROAD = {  # what a reader elsewhere does not have
    "an absolute path of a machine": re.compile(r"(?<![\w.$}/-])/(?:home|Users|work)/(?!app\b)\w"),
    "a package registry's host": re.compile(
        r"\b(?:files\.pythonhosted|deb\.debian|registry\.npmjs)\.org|pypi\.(?:org|io)"
    ),
    "a document that is not here": re.compile(r"\bDESIGN\b(?! =)|\bSTYLE\.md"),
}
TEXTS = (
    ".py",
    ".md",
    ".yml",
    ".toml",
    ".in",
    ".txt",
    ".lock",
    ".js",
    ".go",
    ".php",
    ".json",
    "Makefile",
    "Dockerfile",
)

pytestmark = pytest.mark.skipif(not MODULES, reason="no git here to say which files are the project's")


def test_a_module_of_a_room_fits_one_sitting() -> None:
    too_long = {
        name: count
        for name in IN_ROOMS
        if (count := len((ROOT / name).read_text().splitlines()))
        > (MAX_LINES_OF_A_HANDLER if name.endswith("/handler.py") else MAX_LINES)
    }
    assert too_long == {}


def test_a_module_is_a_noun_with_a_sentence_at_its_top() -> None:
    assert [name for name in MODULES if Path(name).stem in NO_NOUNS] == []
    assert [name for name in MODULES if not _has_a_sentence((ROOT / name).read_text())] == []


@pytest.mark.parametrize("what", ABROAD)
def test_nothing_leads_out_of_the_project(what: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name in TRACKED
        if name.endswith(TEXTS) and (ROOT / name).is_file() and (ROOT / name) != Path(__file__)
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if ABROAD[what].search(line)
    ]
    assert found == []


def test_each_decision_stands_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    there = {path.name for path in folder.glob("[0-9]*.md")}
    assert there == set(re.findall(r"\]\(([0-9][^)]*\.md)\)", (folder / "README.md").read_text()))


def test_a_page_names_pages_that_are_there() -> None:
    missing = []
    for page in (ROOT / name for name in TRACKED if name.endswith(".md")):
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()) if page.is_file() else []
        missing += [
            f"{page}: {link}" for link in links if "://" not in link and not (page.parent / link).exists()
        ]
    assert missing == []


def _has_a_sentence(text: str) -> bool:
    return not text.strip() or bool(ast.get_docstring(ast.parse(text)))
