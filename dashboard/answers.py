"""Answering an alert: acknowledge it, or silence alerts like it."""

from __future__ import annotations

import json
from typing import Final

from dashboard import data, readings
from monitor.domain.formats import seconds
from monitor.errors import WireError

NOBODY: Final = "dashboard"
"""Name of the user if the server requires no sign-in."""


def who() -> str:
    """The name of the current user, as recorded with their answers."""
    me = data.me()
    return me.name if me is not None and me.asked and me.name else NOBODY


def acknowledge(arg: str) -> str:
    """Acknowledge an alert. Returns a confirmation.

    Args:
        arg: a form as JSON: `arg` is the alert, `by` and `note` may be missing.
    """
    form = _form(arg)
    info = readings.api().acknowledge(form["arg"], form.get("by") or who(), form.get("note", ""))
    return f"{info.title}: acknowledged by {info.acked_by}."


def silence(arg: str) -> str:
    """Silence what a form describes. Returns a confirmation.

    Args:
        arg: a form as JSON: `project`, `run` and `rule` are patterns, `for` a length of time.
    """
    form = _form(arg)
    for_s = seconds(form.get("for", ""))
    if for_s is None:
        raise WireError("for", "is not a length of time; write 30m, 2h or 3d")
    matcher = {name: form[name] for name in ("project", "run", "rule") if form.get(name)}
    by = form.get("by") or who()
    readings.api().silence(matcher, reason=form.get("reason") or f"silenced by {by}", by=by, for_s=for_s)
    return f"Nobody is sent what matches {', '.join(f'{k} = {v}' for k, v in matcher.items())} for {form['for']}."


def _form(arg: str) -> dict[str, str]:
    found = json.loads(arg)
    return {str(name): str(value).strip() for name, value in found.items()} if isinstance(found, dict) else {}
