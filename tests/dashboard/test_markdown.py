"""Notes: Markdown is drawn, and nothing in it has any power."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.markup import markdown

from .test_templates import Read

TAGS = {
    "div", "p", "h3", "ul", "ol", "li", "blockquote", "strong", "em", "s", "code", "pre", "hr", "a", "table", "tr",
    "th", "td", "span", "br",
}  # fmt: skip


def test_markdown_is_drawn() -> None:
    html = str(
        markdown.rendered("# Plan\n\n- **lower** the `lr`\n\n[paper](https://example.org/a?b=1&c=2)\n\n```\nx < 1\n```")
    )
    assert "<h3>Plan</h3>" in html and "<li><p><strong>lower</strong> the <code>lr</code></p></li>" in html
    assert 'href="https://example.org/a?b=1&amp;c=2"' in html and 'rel="noopener noreferrer nofollow"' in html
    assert "x &lt; 1" in html


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://evil.example/p.png)",
     "<img src=x onerror=a>",
     "[x](data:text/html,a)", "[x]( vbscript:a)", "<https://a.b> <javascript:c>", "&lt;b&gt;", "\u202eevil"],
)  # fmt: skip
def test_nothing_in_a_note_runs_or_loads(hostile: str) -> None:
    found = Read(str(markdown.rendered(hostile)))
    assert found.tags <= TAGS - {"img", "script"}
    assert not any(value.lower().startswith(("javascript", "data", "vbscript")) for value in found.values)
    assert not any("evil.example" in value for value in found.values)


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_a_note(text: str) -> None:
    assert Read(str(markdown.rendered(text))).tags <= TAGS


def test_quotes_in_quotes_end() -> None:
    assert len(str(markdown.rendered(">" * 5000 + "x"))) < 100_000
