"""The docs fail the build when something that a user meets is not in them."""

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


def test_every_integration_is_in_the_table():
    table = (DOCS / "integrations.md").read_text(encoding="utf-8")
    files = (ROOT / "monitor" / "integrations").glob("[a-z]*.py")
    assert [path.stem for path in files if f"| `{path.stem}." not in table and f"={path.stem}." not in table] == []


def test_every_test_that_the_page_on_security_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (DOCS / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 25
    missing = [
        (file, name)
        for file, name in named
        if not (ROOT / file).exists() or (name and f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_the_places_that_the_architecture_names_are_there():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py|(?:[a-z_0-9]+/)+)`", text)
    known = [f"/{path.relative_to(ROOT)}/" for path in ROOT.glob("[dm]*/**/*")]
    assert len(places) > 50
    assert not [place for place in places if not any(f"/{place.rstrip('/')}/" in path for path in known)]
