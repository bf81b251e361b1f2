"""The templates of `html/`. They escape everything written into them, and nothing else produces HTML.

A template has macros. White space with a line break between two tags is left out, so that templates can be indented
and the browser gets no node for it.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from dashboard import words
from monitor.domain import formats, inert

_HTML: Final = Path(__file__).parents[1] / "html"
_BETWEEN_TAGS: Final = re.compile(r"(?<=[>}])[ \t]*\n\s*(?=[<{])")


class _Compact(FileSystemLoader):
    """Reads templates without the white space between their tags."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, file, fresh = super().get_source(environment, template)
        return _BETWEEN_TAGS.sub("", source), file, fresh


def _written(value: object) -> object:
    """A value as text, before escaping. Control characters are made visible, since browsers obey some."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    return text if text.isascii() and text.isprintable() else inert(text, lines=True)  # most of them are


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_Compact(_HTML),
        autoescape=True,
        finalize=_written,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    names = (formats.number, formats.step, formats.count, formats.duration, formats.ago, formats.clock, formats.plain)
    environment.filters |= {each.__name__: each for each in (*names, words.label, words.severity_of)}
    environment.filters["glob"] = glob.escape
    environment.globals |= {
        "MARKS": words.MARKS,
        "ACTION_MARKS": words.ACTION_MARKS,
        "ACTION_WORDS": words.ACTION_WORDS,
        "PAST_WORDS": words.PAST_WORDS,
        "STATUS_MEANING": words.STATUS_MEANING,
        "NOTHING": formats.NOTHING,
    }
    return environment


def fill(template: str, macro: str, /, **values: object) -> Markup:
    """HTML of a template.

    Args:
        values: what the macro takes; text is escaped, `Markup` is not.
    """
    return cast("Markup", getattr(_module(template), macro)(**values))


@cache
def _module(template: str) -> Any:
    found: Template = _environment().get_template(f"{template}.jinja")
    return found.module


def load() -> None:
    """Compile every template."""
    for file in _HTML.glob("*.jinja"):
        _module(file.stem)


def joined(parts: Iterable[Markup]) -> Markup:
    """Pieces of HTML, one after the other."""
    return Markup("").join(parts)
