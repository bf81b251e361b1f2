"""Markdown that somebody wrote, as HTML of a template: its tags are ours, and all text in them is escaped.

Images are not shown, since loading one tells a stranger's server who reads the note; links lead to http(s) and mail
addresses only. HTML in the text is text.
"""

from __future__ import annotations

from functools import cache
from typing import Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from markupsafe import Markup

from dashboard.markup.templates import fill
from monitor.domain import inert

_SCHEMES: Final = frozenset({"http", "https", "mailto"})
MAX_DEPTH: Final = 40
"""Elements inside one another; what is deeper is left out."""


def rendered(text: str) -> Markup:
    """A text in Markdown as HTML."""
    tree = SyntaxTreeNode(_parser().parse(inert(text, lines=True)))
    return fill("markdown", "note", nodes=_nodes(tree, 0))


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_DEPTH}).enable(["table", "strikethrough"])


def _nodes(parent: SyntaxTreeNode, depth: int) -> list[dict[str, object]]:
    return [_node(child, depth + 1) for child in parent.children] if depth < MAX_DEPTH else []


def _node(node: SyntaxTreeNode, depth: int) -> dict[str, object]:
    kind, href = node.type, ""
    if kind == "link":
        address = str(node.attrs.get("href", ""))
        href = address if _safe(address) else ""
    return {"kind": kind, "text": node.content, "tag": node.tag, "href": href, "nodes": _nodes(node, depth)}


def _safe(address: str) -> bool:
    try:
        return urlsplit(address).scheme.lower() in _SCHEMES
    except ValueError:
        return False
