"""Every loss of torch.nn as an instance that can be profiled."""

from __future__ import annotations

from monitor.losses.profiles.kinds import CLASSES, TORCH_KINDS
from monitor.losses.profiles.subject import LossFunction


def torch_losses() -> dict[str, LossFunction]:
    """Each of torch.nn's losses by class name, with settings that show its shape.

    The ranking loss gets a margin (with torch's default of 0, equal scores cost nothing). KL divergence gets the
    reduction that yields the divergence. The fused linear cross-entropy gets the identity as its weights, so that its
    input is the logits.

    Example:
        >>> sorted(torch_losses())[:3]
        ['BCELoss', 'BCEWithLogitsLoss', 'CTCLoss']
    """
    import torch
    from torch import nn

    special: dict[str, dict[str, object]] = {
        "KLDivLoss": {"reduction": "batchmean"},
        "LinearCrossEntropyLoss": {"in_features": CLASSES, "num_classes": CLASSES},
        "MarginRankingLoss": {"margin": 0.5},
        "SmoothL1Loss": {"beta": 0.5},
    }
    found: dict[str, LossFunction] = {}
    for name in TORCH_KINDS:
        if hasattr(nn, name):
            found[name] = getattr(nn, name)(**special.get(name, {}))
    linear = getattr(found.get("LinearCrossEntropyLoss"), "linear", None)
    if linear is not None:
        with torch.no_grad():
            linear.weight.copy_(torch.eye(CLASSES))
    return found
