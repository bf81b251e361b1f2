"""The linter: broken losses are flagged for what is wrong with them, torch's own and honest ones are clean."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from monitor import losses
from monitor.errors import LossError
from monitor.losses.profiles.torch_catalogue import torch_losses
from tests.variants import some

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn
Loss = Callable[..., object]

# ---------------------------------------------------------------------------------------------- what is broken


class Doubled(torch.autograd.Function):
    """A backward that forgot a factor."""

    @staticmethod
    def forward(ctx, p, t):
        ctx.save_for_backward(p, t)
        return ((p - t) ** 2).mean()

    @staticmethod
    def backward(ctx, grad):
        p, t = ctx.saved_tensors
        return grad * (p - t) / len(p), None


def backward_forgot(p, t):
    return Doubled.apply(p, t)


def detached(pred, target):
    return ((pred.detach() - target) ** 2).mean()


def through_argmax(logits, labels):
    return (logits.argmax(1) != labels).double().mean() + 0 * logits.sum()


def through_item(pred, target):
    return torch.tensor(((pred - target) ** 2).mean().item())


def rounded(pred, target):
    return ((pred.round() - target) ** 2).mean()


def crossed(pred, target):
    return ((pred.view(-1, 1) - target) ** 2).mean()


def crossed_too(pred, target):
    return F.smooth_l1_loss(pred, target.unsqueeze(1).expand(-1, 1), reduction="none").mean()


def softmax_twice(logits, labels):
    return F.cross_entropy(F.softmax(logits, dim=1), labels)


def sigmoid_twice(logits, target):
    return F.binary_cross_entropy_with_logits(torch.sigmoid(logits), target)


def nll_of_probabilities(logits, labels):
    return F.nll_loss(F.softmax(logits, dim=1), labels)


def no_square(pred, target):
    return (pred - target).mean()


def upside_down(pred, target):
    return -F.mse_loss(pred, target)


def upside_down_classes(logits, labels):
    return -F.cross_entropy(logits, labels)


def overlap_not_loss(logits, target):
    p = torch.sigmoid(logits)
    return (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


def added(pred, target):
    return ((pred + target) ** 2).mean()


def half(pred, target):
    return ((0.5 * pred - target) ** 2).mean()


def order(labels, logits):
    return F.cross_entropy(logits, labels)


def naive_log_softmax(logits, labels):
    return -torch.log(torch.softmax(logits, 1)).gather(1, labels[:, None]).mean()


def naive_log_sigmoid(logits, target):
    p = torch.sigmoid(logits)
    return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()


def naive_log_cosh(pred, target):
    return torch.log(torch.cosh(pred - target)).mean()


def root_at_zero(pred, target):
    return torch.sqrt(F.mse_loss(pred, target))


def summed(pred, target):
    return ((pred - target) ** 2).sum()


def summed_classes(logits, labels):
    return F.cross_entropy(logits, labels, reduction="sum")


def huber_without_its_constant(pred, target, delta=1.0):
    r = (pred - target).abs()
    return torch.where(r <= delta, 0.5 * r**2, delta * r).mean()


def pieces_that_bend(pred, target):
    r = (pred - target).abs()
    return torch.where(r <= 1, r**2, r).mean()


def table(pred, target):
    return ((pred[:, None] - target) ** 2).tolist()


def changes_its_target(pred, target):
    target -= target.mean()
    return ((pred - target) ** 2).mean()


def numpy_crossed(pred, target):
    return np.mean((pred[:, None] - target) ** 2)


def numpy_sign(pred, target):
    return np.mean(1 - np.abs(pred - target))


BROKEN: list[tuple[Loss, str]] = [
    (detached, "no_gradient"),
    (through_argmax, "no_gradient"),
    (through_item, "no_gradient"),
    (rounded, "no_gradient"),
    (crossed, "broadcast"),
    (crossed_too, "broadcast"),
    (numpy_crossed, "broadcast"),
    (softmax_twice, "squashed"),
    (sigmoid_twice, "squashed"),
    (nll_of_probabilities, "squashed"),
    (no_square, "unbounded"),
    (upside_down, "sign"),
    (upside_down_classes, "sign"),
    (overlap_not_loss, "sign"),
    (numpy_sign, "sign"),
    (added, "minimiser"),
    (half, "minimiser"),
    (order, "order"),
    (backward_forgot, "gradient"),
    (naive_log_softmax, "overflow"),
    (naive_log_sigmoid, "overflow"),
    (naive_log_cosh, "overflow"),
    (root_at_zero, "overflow"),
    (summed, "sum"),
    (summed_classes, "sum"),
    (huber_without_its_constant, "kink"),
    (pieces_that_bend, "kink"),
    (table, "shape"),
    (changes_its_target, "mutates"),
]


@pytest.mark.parametrize(("fn", "check"), BROKEN, ids=[fn.__name__ for fn, _ in BROKEN])
def test_a_broken_loss_is_flagged_for_what_is_wrong(fn: Loss, check: str) -> None:
    found = losses.check(fn)
    assert check in {item.check for item in found.problems}, found.to_dict()
    assert not found.ok
    for item in found.problems:
        assert item.evidence.endswith(".")
        assert item.mend.endswith(".")
        assert "\n" not in str(item)
    json.dumps(found.to_dict(), allow_nan=False)


def test_softmax_before_cross_entropy_is_told_with_its_best_reachable_value() -> None:
    said = losses.check(softmax_twice, classes=5).problems[0]
    assert "a sure and right answer costs 0.905" in said.evidence


# --------------------------------------------------------------------------------------------- what is honest

HONEST: list[Loss] = []


def honest(fn: Loss) -> Loss:
    HONEST.append(fn)
    return fn


@honest
def mse_by_hand(y_pred, y_true):
    return ((y_pred - y_true) ** 2).mean()


@honest
def mae_by_hand(output, target):
    return torch.abs(output - target).mean()


@honest
def huber_where(pred, target, delta=1.0):
    r = (pred - target).abs()
    return torch.where(r < delta, 0.5 * r**2, delta * (r - 0.5 * delta)).mean()


@honest
def huber_clamp(pred, target, delta=0.5):
    r = torch.abs(pred - target)
    quadratic = torch.clamp(r, max=delta)
    return (0.5 * quadratic**2 + delta * (r - quadratic)).mean()


@honest
def pseudo_huber(pred, target, delta=2.0):
    return (delta**2 * (torch.sqrt(1 + ((pred - target) / delta) ** 2) - 1)).mean()


@honest
def charbonnier(pred, target, eps=1e-3):
    return torch.sqrt((pred - target) ** 2 + eps**2).mean()


@honest
def log_cosh_safe(pred, target):
    r = pred - target
    return (r + F.softplus(-2.0 * r) - math.log(2.0)).mean()


@honest
def quantile_loss(pred, target, q=0.9):
    e = target - pred
    return torch.max(q * e, (q - 1) * e).mean()


@honest
def smooth_quantile(pred, target, tau=0.3, s=0.1):
    e = target - pred
    return (tau * e + s * F.softplus(-e / s)).mean()


@honest
def expectile(pred, target, tau=0.8):
    e = target - pred
    return (torch.where(e > 0, tau, 1 - tau) * e**2).mean()


@honest
def epsilon_insensitive(pred, target, eps=0.1):
    return F.relu((pred - target).abs() - eps).mean()


@honest
def cauchy_loss(pred, target, c=1.0):
    return torch.log1p(((pred - target) / c) ** 2).mean()


@honest
def geman_mcclure(pred, target):
    r2 = (pred - target) ** 2
    return (r2 / (r2 + 1)).mean()


@honest
def tukey_biweight(pred, target, c=4.685):
    x = ((pred - target) / c).abs().clamp(max=1.0)
    return (c**2 / 6 * (1 - (1 - x**2) ** 3)).mean()


@honest
def welsch(pred, target):
    return (1 - torch.exp(-0.5 * (pred - target) ** 2)).mean()


@honest
def truncated_square(pred, target, top=4.0):
    return torch.clamp((pred - target) ** 2, max=top).mean()


@honest
def wing(pred, target, w=10.0, eps=2.0):
    r = (pred - target).abs()
    c = w - w * math.log(1 + w / eps)
    return torch.where(r < w, w * torch.log1p(r / eps), r - c).mean()


@honest
def berhu(pred, target):
    r = (pred - target).abs()
    return torch.where(r <= 1.0, r, (r**2 + 1) / 2).mean()


@honest
def rmse_eps(pred, target):
    return torch.sqrt(((pred - target) ** 2).mean() + 1e-8)


@honest
def mape(y_pred, y_true):
    return ((y_pred - y_true).abs() / y_true.abs().clamp(min=1e-2)).mean()


@honest
def msle(y_pred, y_true):
    return ((torch.log1p(y_pred.clamp(min=0)) - torch.log1p(y_true.clamp(min=0))) ** 2).mean()


@honest
def weighted_mse(pred, target):
    weight = 1 + (target > 0).to(pred.dtype)
    return (weight * (pred - target) ** 2).mean()


@honest
def mse_plus_l1(pred, target):
    return F.mse_loss(pred, target) + 0.1 * F.l1_loss(pred, target)


@honest
def linex(pred, target, a=0.3):
    e = a * (pred - target)
    return (torch.exp(e) - e - 1).mean()


@honest
def gaussian_nll_by_hand(mean, target, var):
    var = var.clamp(min=1e-6)
    return (0.5 * (var.log() + (target - mean) ** 2 / var)).mean()


@honest
def poisson_by_hand(log_rate, count):
    return (log_rate.exp() - count * log_rate).mean()


@honest
def focal(logits, labels, gamma=2.0):
    logp = F.log_softmax(logits, dim=-1)
    logpt = logp.gather(1, labels.unsqueeze(1)).squeeze(1)
    return (-((1 - logpt.exp()) ** gamma) * logpt).mean()


@honest
def focal_from_ce(inputs, targets, alpha=0.25, gamma=2):
    ce = F.cross_entropy(inputs, targets, reduction="none")
    return (alpha * (1 - torch.exp(-ce)) ** gamma * ce).mean()


@honest
def binary_focal(logits, targets, alpha=0.25, gamma=2.0):
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p = torch.sigmoid(logits)
    pt = p * targets + (1 - p) * (1 - targets)
    at = alpha * targets + (1 - alpha) * (1 - targets)
    return (at * (1 - pt) ** gamma * ce).mean()


@honest
def label_smoothing(logits, target, eps=0.1):
    logp = F.log_softmax(logits, dim=1)
    nll = -logp.gather(1, target[:, None]).squeeze(1)
    return ((1 - eps) * nll - eps * logp.mean(dim=1)).mean()


@honest
def ce_one_hot(logits, labels):
    hot = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return -(hot * F.log_softmax(logits, 1)).sum(1).mean()


@honest
def ce_logsumexp(x, y):
    return (torch.logsumexp(x, 1) - x[torch.arange(len(y)), y]).mean()


@honest
def generalised_ce(logits, labels, q=0.7):
    p = F.softmax(logits, 1).gather(1, labels[:, None]).clamp(min=1e-7)
    return ((1 - p**q) / q).mean()


@honest
def poly1(logits, labels, eps=1.0):
    ce = F.cross_entropy(logits, labels, reduction="none")
    pt = F.softmax(logits, 1).gather(1, labels[:, None]).squeeze(1)
    return (ce + eps * (1 - pt)).mean()


@honest
def logit_adjusted(logits, labels):
    prior = torch.tensor([0.5, 0.2, 0.1, 0.1, 0.1], dtype=logits.dtype)
    return F.cross_entropy(logits + prior.log(), labels)


@honest
def multiclass_hinge(scores, labels):
    right = scores.gather(1, labels[:, None])
    gaps = F.relu(scores - right + 1)
    mask = F.one_hot(labels, scores.shape[1]).bool()
    return gaps.masked_fill(mask, 0).sum(1).mean()


@honest
def mae_of_probabilities(logits, labels):
    return (2 - 2 * F.softmax(logits, 1).gather(1, labels[:, None])).mean()


@honest
def bce_by_hand(logits, target):
    return (logits.clamp(min=0) - logits * target + torch.log1p(torch.exp(-logits.abs()))).mean()


@honest
def bce_weighted(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(5.0))


@honest
def bce_of_probabilities(probs, target, eps=1e-6):
    p = probs.clamp(eps, 1 - eps)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


@honest
def hinge(score, label):
    return F.relu(1 - label * score).mean()


@honest
def squared_hinge(score, y):
    return (F.relu(1 - y * score) ** 2).mean()


@honest
def logistic_margin(score, label):
    return F.softplus(-label * score).mean()


@honest
def dice(logits, target, smooth=1.0):
    p = torch.sigmoid(logits).flatten()
    t = target.flatten()
    return 1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)


@honest
def tversky(logits, target, a=0.3, b=0.7, smooth=1.0):
    p = torch.sigmoid(logits).view(-1)
    t = target.view(-1)
    tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    return 1 - (tp + smooth) / (tp + a * fp + b * fn + smooth)


@honest
def focal_tversky(logits, target, gamma=0.75):
    return tversky(logits, target) ** gamma


@honest
def bce_dice(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target) + dice(logits, target)


@honest
def iou_of_masks(logits, target):
    p = torch.sigmoid(logits)
    inter = (p * target).sum()
    return 1 - (inter + 1e-6) / (p.sum() + target.sum() - inter + 1e-6)


@honest
def kl_divergence(log_probs, target_probs):
    return (torch.xlogy(target_probs, target_probs) - target_probs * log_probs).sum(1).mean()


@honest
def contrastive(x1, x2, label, margin=1.0):
    d = F.pairwise_distance(x1, x2)
    same = (label > 0).to(d.dtype)
    return (same * d**2 + (1 - same) * F.relu(margin - d) ** 2).mean()


@honest
def triplet(anchor, positive, negative, margin=0.2):
    near = (anchor - positive).pow(2).sum(1)
    far = (anchor - negative).pow(2).sum(1)
    return F.relu(near - far + margin).mean()


@honest
def info_nce(z1, z2, temperature=0.1):
    a, b = F.normalize(z1, dim=1), F.normalize(z2, dim=1)
    return F.cross_entropy(a @ b.T / temperature, torch.arange(len(a)))


@honest
def clip_loss(image_emb, text_emb, scale=10.0):
    a, b = F.normalize(image_emb, dim=-1), F.normalize(text_emb, dim=-1)
    logits = scale * a @ b.T
    rows = torch.arange(len(a))
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2


@honest
def bpr(first, second, label):
    return -F.logsigmoid(label * (first - second)).mean()


@honest
def giou(pred_boxes, target_boxes):
    low = torch.max(pred_boxes[:, :2], target_boxes[:, :2])
    high = torch.min(pred_boxes[:, 2:], target_boxes[:, 2:])
    inter = (high - low).clamp(min=0).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (pred_boxes, target_boxes)]
    union = areas[0] + areas[1] - inter
    hull_low = torch.min(pred_boxes[:, :2], target_boxes[:, :2])
    hull_high = torch.max(pred_boxes[:, 2:], target_boxes[:, 2:])
    hull = (hull_high - hull_low).prod(1)
    return (1 - (inter / union - (hull - union) / hull)).mean()


@honest
def numpy_huber(pred, target):
    r = np.abs(pred - target)
    return np.mean(np.where(r <= 1, 0.5 * np.square(r), r - 0.5))


@honest
def numpy_cross_entropy(logits, labels):
    top = logits.max(axis=1, keepdims=True)
    logp = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return -logp[np.arange(len(labels)), labels].mean()


class FocalLoss(nn.Module):
    def __init__(self, gamma: float = 2.0, weight: torch.Tensor | None = None) -> None:
        super().__init__()
        self.gamma, self.weight = gamma, weight

    def forward(self, input, target):
        ce = F.cross_entropy(input, target, weight=self.weight, reduction="none")
        return ((1 - torch.exp(-ce)) ** self.gamma * ce).mean()


class Pinball(nn.Module):
    def __init__(self, q: float) -> None:
        super().__init__()
        self.q = q

    def forward(self, preds, target):
        return torch.maximum(self.q * (target - preds), (self.q - 1) * (target - preds)).mean()


HONEST += [FocalLoss(), Pinball(0.1)]


@pytest.mark.parametrize(
    "fn", some(zip(HONEST), every=5), ids=[getattr(fn, "__name__", type(fn).__name__) for fn in HONEST]
)
def test_an_honest_loss_is_clean(fn: Loss) -> None:
    found = losses.check(fn)
    assert found.ok, found.to_dict()


def test_there_are_forty_of_them() -> None:
    assert len(HONEST) >= 40
    assert len(BROKEN) >= 12


@pytest.mark.parametrize("name", some(zip(sorted(torch_losses())), every=3))
def test_torchs_own_losses_are_clean(name: str) -> None:
    found = losses.check(torch_losses()[name], name=name)
    assert found.ok, found.to_dict()
    assert "nothing wrong" in found.to_markdown()


def test_what_cannot_be_called_is_one_line() -> None:
    for bad in (3, "mse", lambda: 1.0, lambda a, b, c: a @ b[0, 0] @ c):
        with pytest.raises(LossError) as caught:
            losses.check(bad)  # type: ignore[arg-type]  # what is tested
        assert "\n" not in str(caught.value)
