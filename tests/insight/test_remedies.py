"""What to try against overfitting: read from the configuration, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.domain import Finding, FindingState, Recommendation, RunInfo, RunSnapshot, RunStatus, Severity
from monitor.insight.remedies import Remedy, remedies
from monitor.losses import MSE, CrossEntropy


def overfits(config: dict[str, object], **run: object) -> RunSnapshot:
    advice = Recommendation(best_step=600, best_val_loss=0.5, goal="val/acc", best_goal=0.9, best_goal_step=900)
    info = RunInfo(
        id="1" * 32, project="p", name="a", status=RunStatus.RUNNING, created_ms=0, config=config, last_step=2000,
        recommendation=advice,
    )  # fmt: skip
    found = Finding(
        rule="overfitting", version=1, state=FindingState.FIRING, severity=Severity.CRITICAL, onset_step=600,
        fired_step=700, resolved_step=None, evidence={}, explanation="It rose.", advice="Stop.",
    )  # fmt: skip
    return RunSnapshot(replace(info, **run), (), (found,), ())  # type: ignore[arg-type]  # passed on


def found(config: dict[str, object], **run: object) -> dict[str, Remedy]:
    return {remedy.name: remedy for remedy in remedies(overfits(config, **run))}


def test_what_is_off_or_not_set_comes_first_with_the_entry_that_says_so() -> None:
    found = remedies(overfits({"model": {"hidden_dropout_prob": 0.1}, "optim": {"weight_decay": 0.0, "lr": 1e-3}}))
    assert [remedy.name for remedy in found] == ["augmentation", "weight_decay", "length", "dropout", "size"]
    decay, dropout = found[1], found[3]
    assert (decay.state, decay.key, decay.value) == ("off", "optim.weight_decay", 0.0)
    assert (dropout.state, dropout.key, dropout.value) == ("set", "model.hidden_dropout_prob", 0.1)
    assert found[0].state == "not set" and all(remedy.source for remedy in found)


def test_entries_of_mappings_in_a_list_are_read() -> None:
    decay = found({"optimizers": [{"name": "adam", "weight_decay": 0.0}], "layers": [64, 64]})["weight_decay"]
    assert (decay.state, decay.key) == ("off", "optimizers.0.weight_decay")


@pytest.mark.parametrize(
    ("config", "name", "state"),
    [
        ({"attn_pdrop": 0.1}, "dropout", "set"),
        ({"dropout": 0.0, "attention_dropout": 0.2}, "dropout", "set"),
        ({"wd": "none"}, "weight_decay", "off"),
        ({"data": {"RandAugment": True}}, "augmentation", "set"),
        ({"augment": False}, "augmentation", "off"),
        ({"weight_decay": "0.0"}, "weight_decay", "off"),  # as a command line or a sweep gives it
        ({"optimizer": {"_target_": "torch.optim.AdamW", "weight_decay": "0e0"}}, "weight_decay", "off"),
        ({"optim.weight-decay": "1e-4"}, "weight_decay", "set"),
        ({"dropout": "False"}, "dropout", "off"),
    ],
)
def test_entries_are_found_by_the_names_that_people_use(config: dict[str, object], name: str, state: str) -> None:
    assert found(config)[name].state == state


def test_sizes_are_compared_where_both_are_known_and_asked_for_elsewhere() -> None:
    assert "1,200,000 parameters for 5,000 examples" in found({"n_params": 1_200_000, "n_train": 5000})["size"].text
    assert found({"n_params": 1_200_000, "n_train": 5000})["size"].value == 240
    assert "with n_params and n_train" in found({"train_size": 0.8})["size"].text


def test_a_run_whose_best_step_is_early_is_too_long_by_its_own_epochs() -> None:
    assert "step 600, epoch 3.0 of 2,000" in found({"n_train": 12_800, "batch_size": 64})["length"].text
    assert "length" not in found({}, last_step=650)


def test_a_goal_that_is_best_after_the_loss_asks_for_label_smoothing() -> None:
    smoothing = found({}, loss=CrossEntropy(10).to_dict())["label_smoothing"]
    assert (smoothing.state, smoothing.key) == (
        "off",
        "loss.label_smoothing",
    ) and "val/acc was best at step 900, after the loss at step 600" in smoothing.text
    assert "label_smoothing" not in found({}, loss=MSE().to_dict())


def test_trees_are_told_what_helps_trees() -> None:
    known = found({"num_leaves": 255, "learning_rate": 0.1, "subsample": 1.0})
    assert list(known) == ["early_stopping_rounds", "subsample", "learning_rate", "num_leaves"]
    assert known["subsample"].state == "off" and "600" in known["early_stopping_rounds"].text


def test_nothing_is_told_to_a_run_that_does_not_overfit() -> None:
    seen = overfits({})
    assert remedies(replace(seen, findings=())) == ()


def test_words_name_the_first() -> None:
    seen = overfits({"weight_decay": 0.0})
    lines = replace(seen, remedies=tuple(remedy.to_dict() for remedy in remedies(seen))).of_remedies()
    assert (
        lines[0].startswith("Try first: ") and all(line.startswith("Then: ") for line in lines[1:]) and len(lines) == 4
    )
