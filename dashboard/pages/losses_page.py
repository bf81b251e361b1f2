"""The page of losses: what a function is like, which values a specification allows, and which loss to take."""

from __future__ import annotations

from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboard import live, measuring, viewer
from dashboard.charts import profile
from dashboard.markup import losses_page, pieces
from dashboard.pages import widgets
from dashboard.plot import plot
from monitor import losses
from monitor.errors import LossError
from monitor.losses import LossProfile

EXAMPLE: Final = "cross_entropy(classes=10, label_smoothing=0.1)"


def page() -> None:
    """Draw the page; what cannot be read or measured is one line."""
    viewer.title("Losses")
    live.html(pieces.head("Losses"), key="head")
    views = {"Profile": _profile, "Specification": _specification, "Advice": _advice}
    chosen = widgets.one_of("View", tuple(views), "view", titled=False)
    try:
        views[chosen]()
    except LossError as error:
        live.html(pieces.notice("warning", "This loss cannot be shown.", str(error), testid="loss-error"), key="error")


def _profile() -> None:
    """A loss of the list, as it was measured, and the levels of its specification."""
    names = measuring.names()
    start = names.index("HuberLoss") if "HuberLoss" in names else 0
    name = st.selectbox("Loss", names, index=start, key="loss", bind="query-params", width=420)
    found, spec = measuring.named(name or names[start])
    _measured(found)
    if spec is not None:
        live.html(losses_page.levels(spec), key="levels")


def _specification() -> None:
    """What a specification says, what a logged value means under it, and its function's profile."""
    left, right = st.columns([3, 1])
    with left:
        written = st.text_input("Specification", EXAMPLE, max_chars=500, key="spec", bind="query-params")
    with right:
        value = st.number_input(
            "A logged loss", value=None, format="%g", placeholder="optional", key="value", bind="query-params"
        )
    spec = losses.parse(written or "")
    body = losses_page.judged(spec, float(value)) if value is not None else Markup("")
    live.html(body + losses_page.levels(spec), key="levels")
    found, said = measuring.specified(written)
    live.html(pieces.quiet(said, testid="measured-as"), key="measured-as")
    if found is not None:
        _measured(found)


def _measured(found: LossProfile) -> None:
    """Picture and table side by side, the sentences below."""
    left, right = st.columns([3, 2], gap="large")
    look = viewer.look("step", "linear", revision=found.name)
    with left:
        plot(profile.profile_figure(found, look), key="profile_chart", alt=f"{found.name} over the error")
        live.html(pieces.caption(profile.captions(found)), key="profile_caption")
    with right:
        live.html(losses_page.profile(found), key="profile")
    live.html(losses_page.sentences(found), key="sentences")


def _advice() -> None:
    """A form for the task, and the candidates with their reasons."""
    with st.form("task", border=False), st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        task = st.selectbox("Task", measuring.TASKS, key="task_name", bind="query-params", width=200)
        classes = st.number_input(
            "Classes", min_value=2, value=None, placeholder="not said", key="classes", bind="query-params", width=150
        )
        imbalance = st.number_input(
            "Most frequent : rarest", min_value=1.0, value=1.0, key="imbalance", bind="query-params", width=190
        )
        noise = st.number_input("Wrong labels, %", 0.0, 100.0, 0.0, key="noise", bind="query-params", width=150)
        outliers = st.checkbox("Outliers", key="outliers", bind="query-params")
        half = st.checkbox("float16", key="half", bind="query-params")
        st.form_submit_button("Advise", type="primary")
    found = measuring.advised(
        task, None if classes is None else int(classes), float(imbalance), outliers, float(noise) / 100, half
    )
    live.html(losses_page.advice(found), key="advice")


if __name__ == "__main__":
    page()
