"""What the engine takes a metric for, by its name."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from monitor.directions import rises


class Role(StrEnum):
    """What the engine takes a series for."""

    TRAIN = "train"
    VAL = "val"
    GRAD_NORM = "grad_norm"
    LR = "lr"
    PART = "part"
    """A term of a composite loss, `loss/<name>`."""
    SYSTEM = "system"
    """A measurement of the machine, `system/<name>`."""
    UNMAPPED = "unmapped"
    """Stored and shown, not judged."""


JUDGED_PARTS: Final = 8
"""Parts of a composite loss that the engine judges, at most: those that were logged first."""

_TRAIN = {"loss", "train_loss", "training_loss", "loss_train", "train"}
_VAL = {
    "val_loss",
    "valid_loss",
    "validation_loss",
    "eval_loss",
    "dev_loss",
    "loss_val",
    "loss_valid",
    "val",
    "valid",
    "validation",
}
_GRAD = {"grad_norm", "gradient_norm", "train_grad_norm", "train_gradient_norm", "total_grad_norm", "grad_norm_total"}
_LR = {"lr", "learning_rate", "train_lr", "train_learning_rate"}


def role_of(key: str) -> Role:
    """What the engine takes a metric of this name for.

    `train_loss`, `train/loss`, `loss`, `val_loss`, `valid_loss`, `eval_loss`, `val/loss` and the like, in any case,
    with `/`, `.`, `-` or a space for `_`, and with Lightning's `_step` and `_epoch` at the end. `train-rmse`,
    `valid_0-l2`, as boosting libraries and MLflow's autologging name a set and a metric that falls. `loss/<name>` is a
    part of a composite loss, `system/<name>` a measurement of the machine. Anything else is unmapped.

    >>> [str(role_of(k)) for k in ("train/loss", "Val_Loss_epoch", "lr-Adam", "loss/l2", "accuracy")]
    ['train', 'val', 'lr', 'part', 'unmapped']
    """
    lower = key.strip().lower()
    if lower.startswith("system/"):
        return Role.SYSTEM
    name = lower.translate(_SEPARATORS)
    for suffix in ("_step", "_epoch"):
        name = name.removesuffix(suffix)
    for names, role in ((_TRAIN, Role.TRAIN), (_VAL, Role.VAL), (_GRAD, Role.GRAD_NORM), (_LR, Role.LR)):
        if name in names:
            return role
    if lower.startswith("loss/"):
        return Role.PART
    if lower.startswith(("lr-", "lr/")):
        return Role.LR
    of_set, _, metric = lower.rpartition("-")
    if of_set and metric != "loss" and rises(metric) is False:
        return role_of_set(of_set) or Role.UNMAPPED
    return Role.UNMAPPED


def role_of_set(name: str) -> Role | None:
    """Whether a set of this name is trained or validated on; None where the name does not say.

    >>> [str(role_of_set(name)) for name in ("train", "Training-set", "eval", "holdout_2", "test", "news")]
    ['train', 'train', 'val', 'val', 'val', 'None']
    """
    words = set(re.findall("[a-z]+", name.lower()))
    if words & _HELD_OUT:
        return Role.VAL
    return Role.TRAIN if words & _LEARNED_FROM else None


_LEARNED_FROM = frozenset({"train", "training", "trainset", "dtrain", "xtrain", "tr", "learn", "fit"})
_HELD_OUT = frozenset({
    "val", "valid", "validate", "validation", "valset", "dval", "dvalid", "eval", "evaluation", "test", "testing",
    "testset", "dtest", "dev", "hold", "holdout", "held", "heldout", "oof", "oob", "unseen",
})  # fmt: skip
_SEPARATORS = str.maketrans("/.- ", "____")
