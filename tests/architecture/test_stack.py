"""stack.yml, the connector's pipeline and the folders of functions/ tell the same story."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from mailchute import subjects

from connector import settings as connector_settings

ROOT = Path(__file__).parents[2]
STACK: dict[str, Any] = yaml.safe_load((ROOT / "stack.yml").read_text())
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
TOPICS = {  # what makes the connector call each function (connector/pipeline.py)
    "scan": {subjects.MAIL_ACCEPTED},
    "parse": {subjects.MAIL_ACCEPTED},
    "deliver": {subjects.DELIVERY_FRESH, subjects.RETRY_ALL},
    "record": {subjects.JOURNAL_ALL},
}
BY_THE_CLOCK = {"expire"}  # what the connector calls without any message


def test_every_function_is_deployed_and_nothing_else() -> None:
    assert sorted(STACK["functions"]) == FUNCTIONS


def test_the_connector_calls_functions_that_are_deployed() -> None:
    assert set(connector_settings.FUNCTIONS) <= set(STACK["functions"])
    assert set(connector_settings.FUNCTIONS) == set(TOPICS) | BY_THE_CLOCK
    assert {name for name, one in STACK["functions"].items() if "annotations" in one} == set(TOPICS)


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_the_topics_of_a_function_are_subjects_the_connector_reads(name: str) -> None:
    assert set(STACK["functions"][name]["annotations"]["topic"].split(",")) == TOPICS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_built_from_its_folder_by_our_template(name: str) -> None:
    function = STACK["functions"][name]
    assert function["lang"] == "python3-mailchute"
    assert function["handler"] == f"./functions/{name}"
    assert (ROOT / "template" / function["lang"] / "template.yml").is_file()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_knows_the_internal_token(name: str) -> None:
    """Without it, everything but scan and parse on the same machine is 404."""
    assert "mailchute-internal-token" in STACK["functions"][name]["secrets"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_what_its_server_asks_for(name: str) -> None:
    handler = importlib.import_module(f"functions.{name}.handler")
    assert callable(handler.handle)
    assert callable(handler.start)
    assert isinstance(handler.CONCURRENCY, int)
    assert handler.PUBLIC is (name in {"scan", "parse"})


@pytest.mark.parametrize("path", STACK["configuration"]["copy"])
def test_what_is_copied_into_each_image_is_there(path: str) -> None:
    assert (ROOT / path / "pyproject.toml").is_file()
