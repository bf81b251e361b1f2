"""Saving a change of a rule that was tried, and forgetting it again."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard import data, live, readings, viewer, words
from dashboard.markup import pieces, rules_page
from monitor.domain import Access
from monitor.errors import MonitorError
from monitor.rules import RulesConfig

_SAID = "rule_saved"
"""Where the outcome of a click is kept until the page is drawn again."""


def scope(project: str | None) -> str | None:
    """Whose rules are shown: those of the project, or of the only one that the reader's token reaches."""
    me = data.me()
    return project if project is not None or me is None else me.project


def said() -> None:
    """What became of the last click."""
    if told := st.session_state.pop(_SAID, None):
        live.html(pieces.notice(*told, testid="rule-saved"), key="rule-saved")


def kept(rule: str, project: str | None) -> None:
    """What is saved of the rule, and the button that forgets it."""
    rows = [row for row in readings.api().saved_rules(project) if row.rule == rule]
    if not rows:
        return
    live.html(pieces.heading("Saved") + rules_page.saved(rows, readings.now_ms(), viewer.zone()), key="saved")
    if any(row.project == project for row in rows) and data.may(_needed(project)):
        label = f"Reset to monitor.toml for {_named(project)}"
        st.button(label, key="reset-rule", on_click=_save, args=(rule, {}, project, None))


def offer(rule: str, changes: Mapping[str, object], config: RulesConfig, project: str | None) -> None:
    """The button that saves a change after its trial, or the role that saving needs; and the lines for the file.

    Args:
        rule: its name.
        changes: the settings that differ from `config`.
        config: the rules on which the change was tried.
        project: where it is to apply; None: in every project.
    """
    needed = _needed(project)
    if data.may(needed):
        live.html(
            pieces.quiet(
                f"It applies to {_named(project)} within two seconds, over monitor.toml, and to running runs with "
                "their next batch."
            ),
            key="what",
        )
        mine = {row.rule: row.settings for row in readings.api().saved_rules(project) if row.project == project}
        settings = {**mine.get(rule, {}), **changes}
        st.button(
            f"Save for {_named(project)}", type="primary", key="save-rule", on_click=_save,
            args=(rule, settings, project, config.hash),
        )  # fmt: skip
    else:
        lacks = data.lacks(needed, f"save it for {_named(project)}")
        live.html(pieces.quiet(f"{lacks} Nothing is changed by trying.", testid="no-right"), key="no-right")
    with st.expander("As lines of monitor.toml"):
        given = {**config.overrides.get(rule, {}), **changes}
        lines = {key: value for key, value in given.items() if value is not None}
        st.code(rules_page.as_toml(rule, lines, project), language="toml")


def _needed(project: str | None) -> Access:
    return Access.ADMIN if project is None else Access.EDITOR


def _named(project: str | None) -> str:
    return "all projects" if project is None else f"project {project}"


def _save(rule: str, settings: Mapping[str, object], project: str | None, basis: str | None) -> None:
    """A click: save, and let the form show the rules in effect."""
    try:
        readings.api().save_rule(rule, settings, project, basis=basis)
        now = readings.api().rules(project).settings[rule]
    except MonitorError as error:
        st.session_state[_SAID] = ("warning", *words.explain(error))
        return
    readings.acted()
    for key in [str(key) for key in st.session_state if str(key).startswith(f"{rule}.")]:
        name = key.removeprefix(f"{rule}.")
        st.session_state[key] = float(now.limits[name]) if name in now.limits else getattr(now, name)
    done = f"{rule} is saved for {_named(project)}." if settings else f"{rule} is reset for {_named(project)}."
    st.session_state[_SAID] = ("info", done, "The history below says who changed what.")
