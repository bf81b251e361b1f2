"""Renders a message as plain text, Markdown and HTML.

Text from users is escaped for each form and made inert, so that it mentions nobody.
"""

from __future__ import annotations

import html
import re
from typing import Final

from monitor.alerts.messages import Message, inert
from monitor.domain import Alert
from monitor.domain.formats import number, step

_MARKED: Final = re.compile(r"([\\\\`*_\[\]<>~|#])")
_LINKS: Final = {"run": "Open the run", "acknowledge": "Acknowledge", "silence": "Silence"}
_COLOURS: Final = {"critical": "#b3261e", "warning": "#9a6700", "info": "#1a7f37"}
PICTURE: Final = "curve.png"
"""File name of the attached picture."""


def as_text(alert: Alert) -> str:
    """The body in plain text."""
    if not isinstance(alert, Message):
        return inert(_body(alert))
    links = [f"{_LINKS[name]}: {address}" for name, address in alert.links.items()]
    return "\n".join([inert(_body(alert)), *(inert(line) for line in _facts(alert)), *links])


def as_markdown(alert: Alert) -> str:
    """The body in Markdown, without its title."""
    if not isinstance(alert, Message):
        return _escaped(_body(alert))
    links = [f"[{_LINKS[name]}](<{address}>)" for name, address in alert.links.items()]
    lines = [_escaped(line) for line in (*_body(alert).splitlines(), *_facts(alert))]
    return "\n".join([*lines, *([" · ".join(links)] if links else [])])


def as_html(alert: Alert) -> str:
    """The body as an HTML fragment for e-mail: plain elements with inline styles, which mail clients support."""
    message = alert if isinstance(alert, Message) else None
    lines = [*_body(alert).splitlines(), *(_facts(message) if message else ())]
    colour = _COLOURS["info"] if alert.state == "resolved" else _COLOURS[str(alert.severity)]
    said = "".join(f'<p style="margin:0 0 8px">{_shown(line)}</p>' for line in lines)
    links = message.links if message else {}
    buttons = "".join(
        f'<a href="{html.escape(address, quote=True)}" style="margin-right:16px">{_LINKS[name]}</a>'
        for name, address in links.items()
    )
    head = f'<p style="margin:0 0 12px;font-weight:600;color:{colour}">{_shown(alert.title)}</p>'
    style = f"font-family:sans-serif;font-size:14px;line-height:1.45;border-left:4px solid {colour};padding-left:14px"
    return f'<div style="{style}">{head}{said}<p style="margin:12px 0 0">{buttons}</p></div>'


def _body(alert: Alert) -> str:
    """The alert's text, or its run if it has none: services refuse a message without text."""
    return alert.body if alert.body.strip() else f"Run {alert.run_name} of project {alert.project}."


def _facts(message: Message) -> list[str]:
    facts, lines = message.facts, list[str]()
    if facts is None:
        return lines
    if facts.best is not None:
        name, value, at = facts.best
        saved = (
            ""
            if facts.checkpoint is None
            else f"; nearest checkpoint: {facts.checkpoint[0]} (step {step(facts.checkpoint[1])})"
        )
        lines.append(f"Best {name}: {number(value)} at step {step(at)}{saved}.")
    if facts.action:
        reason = "" if facts.reason in message.body else facts.reason  # already in the body
        lines.append(f"Recommendation: {facts.action}. {reason}".rstrip())
    if facts.then:
        lines.append(facts.then)
    if facts.saves is not None and facts.saves.steps:
        lines.append(f"A stop now saves {facts.saves.amount or step(facts.saves.steps) + ' steps'}.")
    return lines


def _escaped(text: str) -> str:
    """Text in which Markdown finds no markup."""
    return _MARKED.sub(r"\\\1", inert(text))


def _shown(text: str) -> str:
    return html.escape(inert(text), quote=True)
