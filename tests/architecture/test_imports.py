"""Imports point one way, functions stand on their own feet, and what they need is what they declare."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "shared" / "src"
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


def test_import_linter_finds_every_contract_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4_000:]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reaches_its_own_modules_by_relative_imports_alone(name: str) -> None:
    """In an image the folder is the package `function`; at the desk it is `functions.<name>`."""
    absolute = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / "functions" / name).rglob("*.py")
        for module, level in _imports(path)
        if level == 0 and module.split(".")[0] in {"functions", "function"}
    ]
    assert absolute == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_imports_no_other_room(name: str) -> None:
    rooms = {"smtp_ingress", "connector", "mailchute_cli", "nats", "bench", "tests"}
    strangers = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / "functions" / name).rglob("*.py")
        for module, level in _imports(path)
        if level == 0 and module.split(".")[0] in rooms
    ]
    assert strangers == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_declares_every_package_it_imports(name: str) -> None:
    """Whatever it imports, itself or through mailchute, stands in its requirements.in or the server's."""
    declared = _declared(ROOT / "functions" / name) | _declared(ROOT / "template" / "python3-mailchute")
    packages = importlib.metadata.packages_distributions()
    missing = {}
    for module, where in _third_party(name).items():
        names = {_normal(each) for each in packages.get(module, [module])}
        if not names & declared:
            missing[min(names)] = where
    assert missing == {}, "add these to requirements.in, then `make lock`"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_declares_is_locked_as_at_the_desk(name: str) -> None:
    folder = ROOT / "functions" / name
    locked = _locked(folder / "requirements.txt")
    desk = _locked(ROOT / "requirements" / "runtime.lock")
    assert _declared(folder) <= locked.keys(), "run `make lock`"
    assert {package: desk.get(package) for package in locked} == locked


def _third_party(name: str) -> dict[str, str]:
    """Return the top-level modules a function needs beyond the library, each with who imports it."""
    found: dict[str, str] = {}
    seen: set[Path] = set()
    waiting = list((ROOT / "functions" / name).rglob("*.py"))
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for module, level in _imports(path):
            top = module.split(".")[0]
            if level == 0 and top == "mailchute":
                waiting += _files_of(module)
            elif level == 0 and top not in sys.stdlib_module_names:
                found.setdefault(top, str(path.relative_to(ROOT)))
    return found


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each imported name, `from a import b` as both a and a.b, with its level."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module, node.level
            yield from ((f"{module}.{alias.name}", node.level) for alias in node.names)


def _files_of(module: str) -> list[Path]:
    path = SHARED / module.replace(".", "/")
    parents = [
        SHARED.joinpath(*module.split(".")[:depth]) / "__init__.py"
        for depth in range(1, module.count(".") + 2)
    ]
    return [each for each in (path.with_suffix(".py"), *parents) if each.is_file()]


def _declared(folder: Path) -> set[str]:
    lines = (line.partition("#")[0].strip() for line in (folder / "requirements.in").read_text().splitlines())
    return {_normal(re.split(r"[\[<>=! ;]", line)[0]) for line in lines if line}


def _locked(lock: Path) -> dict[str, str]:
    return {
        _normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.M)
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
