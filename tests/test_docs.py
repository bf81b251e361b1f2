"""The docs fail the build when something that a user meets is not in them."""

import ast
import re
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from monitor import errors
from monitor._resources import ROOT
from monitor.cli import app
from monitor.rules import RULE_NAMES
from monitor.settings import Settings

DOCS = ROOT / "docs"


def _headings(page: str) -> set[str]:
    return set(re.findall(r"^#+ `([^`]+)`", (DOCS / page).read_text(encoding="utf-8"), re.M))


def _commands(group: object, prefix: str = "monitor") -> set[str]:
    assert isinstance(group, TyperGroup)
    names: set[str] = set()
    for name, command in group.commands.items():
        full = f"{prefix} {name}"
        names |= _commands(command, full) if isinstance(command, TyperGroup) else {full}
    return names


def _error_names() -> set[str]:
    found = {errors.MonitorError.__name__}
    queue = list(errors.MonitorError.__subclasses__())
    while queue:
        error = queue.pop()
        if not error.__name__.startswith("_"):  # one that never leaves its module needs no page
            found.add(error.__name__)
        queue += error.__subclasses__()
    return found


def test_every_setting_has_a_heading_and_no_heading_is_stale():
    assert _headings("settings.md") == set(Settings.model_fields)


def test_every_setting_states_its_default_as_it_is():
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, bool | int | float):
            shown = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert f"`MONITOR_{name.upper()}`, default `{shown}`" in text


def test_every_command_has_a_heading_and_no_heading_is_stale():
    assert _headings("cli.md") == _commands(typer.main.get_command(app))


def test_every_error_has_a_heading_and_no_heading_is_stale():
    assert _headings("errors.md") == _error_names()


def test_the_error_tree_in_the_docstring_names_every_error():
    drawn = set(re.findall(r"(?:├──|└──|^ {4})\s*([A-Z]\w+)", errors.__doc__ or "", re.M))
    assert drawn == _error_names()


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_every_rule_has_a_heading(rule):
    assert rule in _headings("rules.md")


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *DOCS.rglob("*.md")]), ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_every_integration_is_in_the_list():
    page = (DOCS / "integrations.md").read_text(encoding="utf-8")
    listed = page.split("## By framework\n")[1].split("\n## ")[0]
    files = (ROOT / "monitor" / "integrations").glob("[a-z]*.py")
    assert [path.stem for path in files if not re.search(rf"^- \*\*.*?\*\*:\s.*[`=]{path.stem}\.", listed, re.M)] == []


def _threats() -> dict[str, list[tuple[str, str]]]:
    """The threats of the model, each a list item, and the tests that it names, file by file."""
    page = (DOCS / "security.md").read_text(encoding="utf-8").split("## What could go wrong")[1].split("\n## ")[0]
    named: dict[str, list[tuple[str, str]]] = {}
    for item in re.split(r"^- ", page, flags=re.M)[1:]:
        files = re.split(r"`(tests/[\w/]+\.py)`", item)
        pairs = zip(files[1::2], files[2::2], strict=True)
        threat = item.split("**")[1]
        named[threat] = [(file, name) for file, names in pairs for name in re.findall(r"`(test_\w+)`", names) or [""]]
    return named


def test_every_threat_names_a_test_that_is_there_and_checks_something():
    threats = _threats()
    assert len(threats) > 35
    for threat, named in threats.items():
        assert named, f"{threat}: names no test"
        for file, name in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            tests = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == name]
            checks = [each for test in tests or [tree][: not name] for each in ast.walk(test) if _checks(each)]
            assert checks, f"{threat}: {file}::{name} is not there, or checks nothing"


_HELPERS = {"raises", "call_and_validate", "refuses_in_one_way", "attack"}
"""What tests call to have something checked."""


def _checks(node: ast.AST) -> bool:
    called = getattr(node, "attr", getattr(node, "id", None)) if isinstance(node, ast.Attribute | ast.Name) else None
    return isinstance(node, ast.Assert) or called in _HELPERS


def test_the_places_that_the_architecture_names_are_there():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py|(?:[a-z_0-9]+/)+)`", text)
    known = [f"/{path.relative_to(ROOT)}/" for path in ROOT.glob("[dm]*/**/*")]
    assert len(places) > 50
    assert not [place for place in places if not any(f"/{place.rstrip('/')}/" in path for path in known)]
