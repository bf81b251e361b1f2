"""The sum of the terms of a loss that nobody logged as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.importers.attempts import begins
from monitor.importers.totals import Totals, with_totals
from monitor.roles import said_of
from monitor.wire import Columns


def points(keys: tuple[str, ...], rows: list[tuple[str, int, float]]) -> Columns:
    return Columns(
        np.array([keys.index(key) for key, _, _ in rows], np.uint16),
        np.array([step for _, step, _ in rows], np.int64),
        np.array([value for _, _, value in rows]),
        np.arange(len(rows), dtype=np.int64),
        None,
    )


def totals(names: str, **said: str) -> Totals:
    keys = tuple(names.split())
    rows = [(key, step, 1.0) for step in range(3) for key in keys]
    return with_totals(keys, points(keys, rows), (), said_of(said))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("train/a_loss train/b_loss val/a_loss val/b_loss", ["train/loss", "val/loss"]),
        ("loss_cls loss_box lr", ["train/loss"]),
        ("train/a_loss train/b_loss val/a_loss", ["train/loss"]),
        ("eval_news_loss eval_wiki_loss", []),
        ("loss loss_cls loss_box", []),
        ("total_loss loss_cls loss_box", []),
        ("critic_loss generator_loss", []),
        ("loss_fold_1 loss_fold_2", []),
        ("train_loss_step train_loss_epoch val_loss", []),
        ("mse mae", []),
    ],
)
def test_terms_are_summed_where_no_whole_is_there(names: str, found: list[str]) -> None:
    assert list(totals(names).of) == found


def test_nothing_is_summed_where_the_user_names_the_loss() -> None:
    assert list(totals("loss_cls loss_box", train="loss_cls").of) == []


ROWS = st.lists(st.tuples(st.sampled_from(["a_loss", "b_loss", "lr"]), st.integers(0, 4)), max_size=40)
KEYS = ("a_loss", "b_loss", "lr")


def of_rows(rows: list[tuple[str, int]]) -> Columns:
    return points(KEYS, [(key, step, float(i)) for i, (key, step) in enumerate(rows)])


@given(ROWS, st.integers(0, 40))
def test_what_was_summed_stays_when_more_points_come(rows: list[tuple[str, int]], cut: int) -> None:
    whole = with_totals(KEYS, of_rows(rows), (), said_of({})).points
    first = with_totals(KEYS, of_rows(rows[:cut]), (), said_of({})).points
    assert whole.value[: len(first)].tolist() == first.value.tolist()
    assert whole.step[: len(first)].tolist() == first.step.tolist()


@given(ROWS)
def test_the_other_points_and_where_attempts_begin_stay(rows: list[tuple[str, int]]) -> None:
    full = of_rows(rows)
    attempts = begins(full.key, full.step)
    whole = with_totals(KEYS, full, attempts, said_of({}))
    own = whole.points.key < len(KEYS)
    assert whole.points.value[own].tolist() == full.value.tolist()
    assert [int(np.count_nonzero(own[:at])) for at in whole.attempts] == list(attempts)


def test_an_attempt_is_not_summed_with_what_the_one_before_left_open() -> None:
    rows = [("a_loss", 0), ("b_loss", 0), ("a_loss", 1), ("a_loss", 0), ("b_loss", 0), ("b_loss", 1), ("a_loss", 1)]
    whole = with_totals(KEYS, of_rows(rows), (3,), said_of({}))
    at = whole.points.key == len(KEYS)
    assert whole.points.value[at].tolist() == [0.0 + 1.0, 3.0 + 4.0, 5.0 + 6.0]
    assert whole.attempts == (4,)
