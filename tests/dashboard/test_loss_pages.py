"""The pages' view of a loss: skill, parts and the page of losses, run as Streamlit runs them over a real store."""

from __future__ import annotations

import pytest

from monitor import losses
from monitor.store import Store
from tests.variants import some

from .conftest import Show, logged

TEN = losses.CrossEntropy(10).to_dict()


def test_the_runs_page_shows_its_curves_as_skill_where_the_loss_is_known(embedded: Store, show: Show) -> None:
    known = logged(embedded, "known", [2.3, 1.0, 0.5], [2.3, 1.1, 0.6], loss=TEN)
    body = show("run", id=known.run_id, y="skill")
    assert "Training and validation skill" in body
    assert "skill is 1 - (loss - floor) / (chance - floor), on a linear axis" in body
    assert ">0.739</span>" in body  # 1 - 0.6 / ln 10, in the head
    assert "Training and validation loss" in show("run", id=known.run_id)
    unknown = logged(embedded, "unknown", [2.3, 1.0, 0.5])
    assert "Training loss" in show("run", id=unknown.run_id, y="skill")


@pytest.mark.parametrize(("second", "drawn", "said"), [
    (losses.MSE(4.0).to_dict(), "validation loss, as skill", "skill is 1 -"),
    (None, '"validation loss"', "no skill axis, since no chance level and floor are known for: two"),
])  # fmt: skip
def test_runs_are_compared_by_skill_where_all_have_one_and_the_others_are_named(
    embedded: Store, show: Show, second: dict[str, object] | None, drawn: str, said: str
) -> None:
    one = logged(embedded, "one", [2.3, 1.0], [2.3, 1.1], loss=TEN)
    two = logged(embedded, "two", [4.0, 1.0], [4.0, 2.0], **({"loss": second} if second else {}))
    body = show("compare", run=[one.run_id, two.run_id], y="skill")
    assert drawn in body
    assert said in body


def test_a_run_whose_loss_has_parts_has_a_tab_for_them(embedded: Store, show: Show) -> None:
    run = logged(embedded, "composite", [3.0, 2.0, 1.5])
    assert "Share of each part" not in show("run", id=run.run_id, tab="Parts")
    run.log("loss/data", [0, 1, 2], [2.0, 1.0, 0.5])
    run.log("loss/l2", [0, 1, 2], [2.0, 2.0, 2.0])
    run.event("weights", step=0, weights={"data": 1.0, "l2": 0.5})
    shares = show("run", id=run.run_id, tab="Parts")
    assert "Share of each part" in shares
    assert "the parts add up to the total" in shares
    assert "weights as logged" in shares
    assert "Weighted parts" in show("run", id=run.run_id, tab="Parts", parts_as="absolute values")


def test_negative_parts_are_said_to_be_no_shares(embedded: Store, show: Show) -> None:
    run = logged(embedded, "with a bonus", [1.0, 0.5])
    run.log("loss/data", [0, 1], [2.0, 1.0])
    run.log("loss/entropy", [0, 1], [-1.0, -0.5])
    body = show("run", id=run.run_id, tab="Parts")
    assert "Negative: entropy at 2 of 2 drawn steps." in body
    assert "Weighted parts" in body
    assert "Share of each part" not in body


def test_the_page_of_losses_shows_a_measured_profile_with_its_levels(embedded: Store, show: Show) -> None:
    body = show("losses", loss="CrossEntropyLoss")
    assert "torch.nn.CrossEntropyLoss over the error" in body
    assert "growth at the border" in body
    assert "levels of cross_entropy" in body


def test_the_page_of_losses_shows_a_specification_and_its_traps(embedded: Store, show: Show) -> None:
    body = show("losses", view="Specification", spec="binary_cross_entropy(positive_rate=0.01)")
    assert "With 1% positives a loss of 0.056 is chance." in body


def test_the_page_of_losses_advises(embedded: Store, show: Show) -> None:
    assert "Losses for regression" in show("losses", view="Advice")


@pytest.mark.parametrize("spec", some(zip([
    "no_such_loss", "huber(", "huber(delta=-1)", "cross_entropy(classes=1e999)", "mse(nan)", "1", " ", "a" * 400,
    "cross_entropy(classes=10, class_weights=(1, 2))", "__import__('os')", "composite()",
]), every=3))  # fmt: skip
def test_a_specification_that_cannot_be_used_is_one_calm_line(embedded: Store, show: Show, spec: str) -> None:
    assert show("losses", view="Specification", spec=spec).count("This loss cannot be shown.") == 1


@pytest.mark.parametrize("spec", ["cross_entropy(classes=1000000000)", "composite(a=mse(1.0), b=0.1*mae())", "custom"])
def test_a_specification_that_has_nothing_to_measure_is_shown_all_the_same(
    embedded: Store, show: Show, spec: str
) -> None:
    body = show("losses", view="Specification", spec=spec)
    assert "chance level" in body
    assert "cannot be shown" not in body
