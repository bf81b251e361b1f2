from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.roles import Role, role_of


@pytest.mark.parametrize(
    ("keys", "role"),
    [
        ("train_loss train/loss loss Loss TRAIN-LOSS train.loss training_loss loss_step train_loss_epoch", Role.TRAIN),
        ("val_loss val/loss valid_loss validation_loss eval_loss eval/loss dev_loss val_loss_epoch Val", Role.VAL),
        ("grad_norm train/grad_norm gradient_norm total_grad_norm", Role.GRAD_NORM),
        ("lr learning_rate train/learning_rate lr-Adam lr/group0 LR", Role.LR),
        ("loss/l1 loss/kl Loss/recon", Role.PART),
        ("system/cpu system/gpu0/memory", Role.SYSTEM),
        ("train-rmse training-l2 dtrain-mlogloss Train-Error", Role.TRAIN),
        ("validation-logloss valid_0-l2 valid_1-binary_logloss eval-rmse test-error validation_0-mae", Role.VAL),
        ("train-auc validation-ndcg@5 valid_0-map my-rmse test-loss -rmse training_score", Role.UNMAPPED),
        ("accuracy val_acc test_loss losses my_loss lrx system", Role.UNMAPPED),
    ],
)
def test_the_alias_table(keys: str, role: Role) -> None:
    assert {key: role_of(key) for key in keys.split()} == dict.fromkeys(keys.split(), role)


def test_surrounding_space_does_not_matter() -> None:
    assert role_of("  train loss ") is Role.TRAIN


@given(st.text())
def test_any_name_has_a_role(key: str) -> None:
    assert isinstance(role_of(key), Role)
    assert role_of(key) is role_of(key.upper().lower()) or not key.isascii()
