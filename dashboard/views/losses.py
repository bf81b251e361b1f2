"""The page of losses: what a function is like, which values a specification allows, and which loss to take."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import knowledge, live, markup, measuring, profile_figure, reader
from dashboard.plot import plot
from monitor import losses
from monitor.errors import LossError
from monitor.losses import LossProfile

_VIEWS: Final = ("Profile", "Specification", "Advice")
EXAMPLE: Final = "cross_entropy(classes=10, label_smoothing=0.1)"


def page() -> None:
    """Draw the page; what cannot be read or measured is one line."""
    live.html('<div class="lm-head"><h1>Losses</h1></div>', key="head")
    chosen = st.segmented_control(
        "View", _VIEWS, default=_VIEWS[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    try:
        {"Profile": _profile, "Specification": _specification, "Advice": _advice}[chosen or _VIEWS[0]]()
    except LossError as error:
        live.html(markup.notice("warning", "This loss cannot be shown.", str(error), testid="loss-error"), key="error")


def _profile() -> None:
    """A loss of the list, as it was measured, and the levels of its specification."""
    names = measuring.names()
    start = names.index("HuberLoss") if "HuberLoss" in names else 0
    name = st.selectbox("Loss", names, index=start, key="loss", bind="query-params", width=420)
    found, spec = measuring.named(name or names[start])
    _measured(found)
    if spec is not None:
        live.html(knowledge.levels(spec), key="levels")


def _specification() -> None:
    """What a specification says, what a logged value means under it, and its function's profile."""
    left, right = st.columns([3, 1])
    with left:
        written = st.text_input("Specification", EXAMPLE, max_chars=500, key="spec", bind="query-params")
    with right:
        value = st.number_input("A logged loss", value=None, format="%g", placeholder="optional", key="value")
    spec = losses.parse(written or "")
    body = knowledge.judged(spec, float(value)) if value is not None else ""
    live.html(body + knowledge.levels(spec), key="levels")
    found, said = measuring.specified(written)
    live.html(f'<p class="lm-dim" data-testid="measured-as">{markup.text(said)}</p>', key="measured-as")
    if found is not None:
        _measured(found)


def _measured(found: LossProfile) -> None:
    """Picture and table side by side, the sentences below."""
    left, right = st.columns([3, 2], gap="large")
    look = reader.look("step", "linear", revision=found.name)
    with left:
        plot(profile_figure.profile_figure(found, look), key="profile_chart", alt=f"{found.name} over the error")
        said = "".join(f"<span>{markup.text(part)}</span>" for part in profile_figure.captions(found))
        live.html(f'<div class="lm-caption">{said}</div>', key="profile_caption")
    with right:
        live.html(knowledge.profile(found), key="profile")
    live.html(knowledge.sentences(found), key="sentences")


def _advice() -> None:
    """A form for the task, and the candidates with their reasons."""
    with st.form("task", border=False), st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        task = st.selectbox("Task", measuring.TASKS, key="task_name", width=200)
        classes = st.number_input("Classes", min_value=2, value=None, placeholder="not said", key="classes", width=150)
        imbalance = st.number_input("Most frequent : rarest", min_value=1.0, value=1.0, key="imbalance", width=190)
        noise = st.number_input("Wrong labels, %", 0.0, 100.0, 0.0, key="noise", width=150)
        outliers = st.checkbox("Outliers", key="outliers")
        half = st.checkbox("float16", key="half")
        st.form_submit_button("Advise", type="primary")
    found = measuring.advised(
        task, None if classes is None else int(classes), float(imbalance), outliers, float(noise) / 100, half
    )
    live.html(knowledge.advice(found), key="advice")


page()
