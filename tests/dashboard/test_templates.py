"""HTML comes from templates alone, and what somebody wrote is text in it."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from dashboard import live
from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain import inert

DASHBOARD = Path(__file__).parents[2] / "dashboard"


class Read(HTMLParser):
    """The texts, the tags and the attributes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.values = "", set[str](), list[str]()
        self.feed(str(html))  # as no `Markup`, whose methods escape
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(), max_size=80))
def test_any_text_is_text_wherever_it_is_written(text: str) -> None:
    html = pieces.table((text, "b", "c"), [(text, "", ""), (pieces.code(text), pieces.hover("x", text), "")])
    found = Read(html + pieces.run_link("0" * 32, text) + pieces.notice("info", text, "", testid=text))
    assert found.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "code", "span", "a", "b", "i"}
    shown = inert(text, lines=True)
    assert found.text.count(shown) >= 4 if shown else True
    assert found.values.count(shown) >= 3


def test_no_template_and_no_script_lets_html_through() -> None:
    for path in (DASHBOARD / "html").glob("*.jinja"):
        assert not re.search(r"\|\s*safe|autoescape|\|\s*e\b|forceescape", path.read_text()), path


def test_html_is_written_in_templates_alone() -> None:
    for path in DASHBOARD.rglob("*.py"):
        tree = ast.parse(path.read_text())
        docs = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and isinstance(node.body[0], ast.Expr)
        }  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
                plotly = node.value.count("<extra></extra>")  # no tag of HTML's: it ends what Plotly shows on hover
                assert node.value.count("</") == plotly and not re.search(r"<[a-z]+[ >](?!/extra)", node.value.replace(
                    "<extra>", "")), f"{path}: {node.value}"  # fmt: skip
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Markup":
                assert [ast.literal_eval(arg) for arg in node.args] == [""], f"{path}:{node.lineno}"


def test_a_text_is_not_shown_as_html() -> None:
    with pytest.raises(TypeError, match="template"):
        live.html("<b>x</b>", key="x")  # type: ignore[arg-type]  # what is tested


def test_no_node_stands_for_the_white_space_of_a_template() -> None:
    assert not re.search(r">\s+<", pieces.table(("a", "b", "c"), [("1", "2", "3")]))
    assert fill("pieces", "code", value=Markup("<i>x</i>")) == "<code><i>x</i></code>"


def test_every_template_can_be_read_and_wants_all_that_it_is_written_from() -> None:
    for path in (DASHBOARD / "html").glob("*.jinja"):
        for macro in re.findall(r"{% macro (\w+)\(", path.read_text()):
            with pytest.raises(TypeError, match="takes no keyword"):
                fill(path.stem, macro, nobody_takes_this=1)
