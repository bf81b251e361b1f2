"""Losses as people write them, in kinds and dress of every sort: honest ones, and broken ones."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from monitor import losses
from tests.variants import some

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn
Loss = Callable[..., object]
HONEST: list[Loss] = []
BROKEN: list[tuple[Loss, tuple[str, ...]]] = []


def honest(fn: Loss) -> Loss:
    HONEST.append(fn)
    return fn


def broken(*checks: str) -> Callable[[Loss], Loss]:
    def added(fn: Loss) -> Loss:
        BROKEN.append((fn() if isinstance(fn, type) else fn, checks))
        return fn

    return added


class ComboLoss(nn.Module):
    def __init__(self, alpha=0.5, ce_ratio=0.5, smooth=1.0):
        super().__init__()
        self.alpha = alpha
        self.ce_ratio = ce_ratio
        self.smooth = smooth

    def forward(self, inputs, targets):
        p = torch.sigmoid(inputs).view(-1)
        t = targets.view(-1)
        inter = (p * t).sum()
        dice = (2 * inter + self.smooth) / (p.sum() + t.sum() + self.smooth)
        bce = F.binary_cross_entropy_with_logits(inputs.view(-1), t)
        return self.ce_ratio * bce + (1 - self.ce_ratio) * (1 - dice)


HONEST.append(ComboLoss())


@honest
def asymmetric_loss(x, y, gamma_neg=4, gamma_pos=1, clip=0.05, eps=1e-08):
    p = torch.sigmoid(x)
    pn = (1 - p + clip).clamp(max=1)
    los = y * torch.log(p.clamp(min=eps)) + (1 - y) * torch.log(pn.clamp(min=eps))
    pt = p * y + pn * (1 - y)
    w = torch.pow(1 - pt, gamma_pos * y + gamma_neg * (1 - y))
    return -(los * w).mean()


class ArcFaceHead(nn.Module):
    def __init__(self, features=4, classes=5, s=16.0, m=0.2):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features, generator=torch.Generator().manual_seed(0)))
        self.s = s
        self.m = m

    def forward(self, embeddings, labels):
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        return F.cross_entropy(self.s * (cosine - self.m * F.one_hot(labels, len(self.weight))), labels)


HONEST.append(ArcFaceHead())


@honest
def batch_hard_triplet(embeddings, labels, margin=0.3):
    d = torch.cdist(embeddings, embeddings)
    same = labels[:, None] == labels[None]
    hardest_pos = (d * same).max(1).values
    hardest_neg = (d + 1000000.0 * same).min(1).values
    return F.relu(hardest_pos - hardest_neg + margin).mean()


@honest
def nt_xent(z_i, z_j, temperature=0.5):
    z = F.normalize(torch.cat([z_i, z_j]), dim=1)
    n = len(z_i)
    sim = z @ z.T / temperature
    sim = sim.masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    targets = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, targets)


@honest
def supcon(features, labels, temperature=0.1):
    z = F.normalize(features, dim=1)
    sim = z @ z.T / temperature
    n = len(z)
    eye = torch.eye(n, dtype=torch.bool)
    logp = sim.masked_fill(eye, -1000000000.0)
    logp = logp - torch.logsumexp(logp, 1, keepdim=True)
    pos = (labels[:, None] == labels[None]) & ~eye
    k = pos.sum(1)
    each = -(logp * pos).sum(1) / k.clamp(min=1)
    return each[k > 0].mean() if (k > 0).any() else sim.sum() * 0


@honest
def vae_loss(recon_x, x, mu, logvar):
    bce = F.mse_loss(recon_x, x)
    kl = -0.5 * torch.mean(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kl


@honest
def hinge_gan_d(real_logits, fake_logits):
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


@honest
def hinge_gan_g(fake_logits):
    return -fake_logits.mean()


@honest
def wasserstein_d(real_scores, fake_scores):
    return fake_scores.mean() - real_scores.mean()


class MultiQuantile(nn.Module):
    def __init__(self, quantiles=(0.1, 0.3, 0.5, 0.7, 0.9)):
        super().__init__()
        self.register_buffer("q", torch.tensor(quantiles))

    def forward(self, preds, target):
        e = target.unsqueeze(-1) - preds
        return torch.maximum(self.q * e, (self.q - 1) * e).mean()


HONEST.append(MultiQuantile())


@honest
def cox_partial_likelihood(risk, time, event):
    order = torch.argsort(time, descending=True)
    r = risk[order]
    e = event[order]
    ll = (r - torch.logcumsumexp(r, 0)) * (e > 0)
    return -ll.sum() / (e > 0).sum().clamp(min=1)


@honest
def evidential_mse(logits, target, num_classes=5):
    ev = F.softplus(logits)
    alpha = ev + 1
    S = alpha.sum(1, keepdim=True)
    p = alpha / S
    y = F.one_hot(target, num_classes).to(logits.dtype)
    return ((y - p) ** 2 + p * (1 - p) / (S + 1)).sum(1).mean()


@honest
def heteroscedastic(mean, log_var, target):
    return (0.5 * torch.exp(-log_var) * (target - mean) ** 2 + 0.5 * log_var).mean()


class LearnedHuber(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_delta = nn.Parameter(torch.zeros(()))

    def forward(self, pred, target):
        d = self.log_delta.exp()
        r = (pred - target).abs()
        return torch.where(r <= d, 0.5 * r**2, d * (r - 0.5 * d)).mean()


HONEST.append(LearnedHuber())


@honest
def masked_mse(pred, target, mask):
    return ((pred - target) ** 2 * mask).sum() / mask.sum().clamp(min=1)


@honest
def masked_mse_nan(pred, target):
    m = ~torch.isnan(target)
    return ((pred[m] - target[m]) ** 2).mean()


@honest
def ls_kl(logits, target, smoothing=0.1):
    k = logits.size(-1)
    with torch.no_grad():
        true = torch.full_like(logits, smoothing / (k - 1))
        true.scatter_(1, target.unsqueeze(1), 1 - smoothing)
    return F.kl_div(F.log_softmax(logits, -1), true, reduction="batchmean")


@honest
def distill(student_logits, teacher_logits, T=4.0):
    return (
        F.kl_div(F.log_softmax(student_logits / T, 1), F.softmax(teacher_logits / T, 1), reduction="batchmean") * T * T
    )


@honest
def pinn(u, u_true):
    data = ((u - u_true) ** 2).mean()
    residual = ((u[1:] - u[:-1]) ** 2).mean() if len(u) > 1 else 0 * data
    return data + 0.001 * residual


@honest
def ssim_like(pred, target, c1=0.01**2, c2=0.03**2):
    mx, my = (pred.mean(), target.mean())
    vx = ((pred - mx) ** 2).mean()
    vy = ((target - my) ** 2).mean()
    cov = ((pred - mx) * (target - my)).mean()
    return 1 - (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


@honest
def soft_f1(logits, y):
    p = torch.sigmoid(logits)
    tp = (p * y).sum()
    fp = (p * (1 - y)).sum()
    fn = ((1 - p) * y).sum()
    return 1 - 2 * tp / (2 * tp + fp + fn + 1e-07)


@honest
def lovasz_hinge(logits, labels):
    signs = 2 * labels - 1
    errors = 1 - logits * signs
    e, perm = torch.sort(errors, descending=True)
    gt = labels[perm]
    g = gt.sum()
    inter = g - gt.cumsum(0)
    union = g + (1 - gt).cumsum(0)
    j = 1 - inter / union
    if len(gt) > 1:
        j = torch.cat([j[:1], j[1:] - j[:-1]])
    return torch.dot(F.relu(e), j)


@honest
def listmle(scores, relevance):
    order = torch.argsort(relevance, descending=True)
    s = scores[order]
    return (torch.logcumsumexp(s.flip(0), 0).flip(0) - s).mean()


@honest
def dpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (policy_chosen - ref_chosen - (policy_rejected - ref_rejected))).mean()


@honest
def reward_model(chosen_rewards, rejected_rewards):
    return -F.logsigmoid(chosen_rewards - rejected_rewards).mean()


@honest
def ppo_clip(log_probs, old_log_probs, advantages, eps=0.2):
    r = torch.exp(log_probs - old_log_probs)
    return -torch.min(r * advantages, r.clamp(1 - eps, 1 + eps) * advantages).mean()


@honest
def reinforce(log_probs, rewards):
    return -(log_probs * rewards).mean()


@honest
def token_ce(logits, labels, ignore_index=-100):
    return F.cross_entropy(logits.view(-1, logits.size(-1)), labels.view(-1), ignore_index=ignore_index)


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.tensor([1.0, 2.0, 3.0, 1.0, 1.0]))

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, weight=self.weight)


HONEST.append(Weighted())


@honest
def keyword_only(*, pred, target):
    return ((pred - target) ** 2).mean()


def keyword_extra(pred, target, *, scale):
    return ((pred - target) ** 2).mean() * scale


HONEST.append(functools.partial(keyword_extra, scale=2.0))


@honest
def keras_pinball(y_true, y_pred, q=0.9):
    e = y_true - y_pred
    return torch.mean(torch.maximum(q * e, (q - 1) * e))


@honest
def keras_bce(y_true, y_pred, eps=1e-07):
    p = y_pred.clamp(eps, 1 - eps)
    return -(y_true * torch.log(p) + (1 - y_true) * torch.log(1 - p)).mean()


@honest
def returns_tuple(pred, target):
    a = F.mse_loss(pred, target)
    b = F.l1_loss(pred, target)
    return (a + 0.1 * b, {"mse": a.detach(), "l1": b.detach()})


@honest
def returns_dict(pred, target):
    a = F.mse_loss(pred, target)
    b = F.l1_loss(pred, target)
    return {"loss": a + b, "mse": a, "l1": b}


@honest
def per_sample(pred, target, reduction="mean"):
    e = (pred - target) ** 2
    return e.mean() if reduction == "mean" else e


@honest
def numpy_hinge(scores, labels):
    return np.maximum(0, 1 - scores * labels).mean()


HONEST.append(functools.partial(F.huber_loss, delta=0.7))
HONEST.append(functools.partial(F.cross_entropy, label_smoothing=0.1))


def scripted(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return torch.mean((pred - target) ** 2)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    HONEST.append(torch.jit.script(scripted))


class Callable_:
    def __init__(self, a):
        self.a = a

    def __call__(self, pred, target):
        return self.a * ((pred - target) ** 2).mean()


HONEST.append(Callable_(3.0))


@honest
def barlow(z_a, z_b, lam=0.005):
    a = (z_a - z_a.mean(0)) / (z_a.std(0) + 1e-05)
    b = (z_b - z_b.mean(0)) / (z_b.std(0) + 1e-05)
    c = a.T @ b / len(a)
    on = (torch.diagonal(c) - 1).pow(2).sum()
    off = (c - torch.diag(torch.diagonal(c))).pow(2).sum()
    return on + lam * off


@honest
def simsiam(p1, p2, z1, z2):
    return (
        -(F.cosine_similarity(p1, z2.detach(), dim=-1).mean() + F.cosine_similarity(p2, z1.detach(), dim=-1).mean()) / 2
    )


@honest
def diou_like(boxes1, boxes2):
    lt = torch.max(boxes1[:, :2], boxes2[:, :2])
    rb = torch.min(boxes1[:, 2:], boxes2[:, 2:])
    wh = (rb - lt).clamp(min=0)
    i = wh[:, 0] * wh[:, 1]
    a1 = (boxes1[:, 2] - boxes1[:, 0]) * (boxes1[:, 3] - boxes1[:, 1])
    a2 = (boxes2[:, 2] - boxes2[:, 0]) * (boxes2[:, 3] - boxes2[:, 1])
    iou = i / (a1 + a2 - i + 1e-07)
    c1 = (boxes1[:, :2] + boxes1[:, 2:]) / 2
    c2 = (boxes2[:, :2] + boxes2[:, 2:]) / 2
    clt = torch.min(boxes1[:, :2], boxes2[:, :2])
    crb = torch.max(boxes1[:, 2:], boxes2[:, 2:])
    return (1 - iou + ((c1 - c2) ** 2).sum(1) / (((crb - clt) ** 2).sum(1) + 1e-07)).mean()


@honest
def tweedie(pred, target, p=1.5):
    return (-target * torch.exp(pred * (1 - p)) / (1 - p) + torch.exp(pred * (2 - p)) / (2 - p)).mean()


@honest
def laplace_nll(mu, target, log_b):
    return (log_b + (target - mu).abs() * torch.exp(-log_b)).mean()


@honest
def ordinal_coral(logits, levels):
    return -(F.logsigmoid(logits) * levels + (F.logsigmoid(logits) - logits) * (1 - levels)).sum(1).mean()


@honest
def symmetric_ce(logits, labels, a=1.0, b=1.0):
    ce = F.cross_entropy(logits, labels)
    p = F.softmax(logits, 1).clamp(1e-07, 1)
    hot = F.one_hot(labels, logits.shape[1]).to(logits.dtype).clamp(0.0001, 1)
    return a * ce + b * (-(p * hot.log()).sum(1)).mean()


@honest
def bootstrapped_ce(logits, labels, beta=0.8):
    p = F.softmax(logits, 1).detach()
    return beta * F.cross_entropy(logits, labels) - (1 - beta) * (p * F.log_softmax(logits, 1)).sum(1).mean()


@honest
def ohem(logits, labels, keep=0.5):
    ce = F.cross_entropy(logits, labels, reduction="none")
    k = max(1, int(keep * len(ce)))
    return ce.topk(k).values.mean()


@honest
def ctc_wrapper(log_probs, targets, input_lengths, target_lengths):
    return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, zero_infinity=True)


@honest
def sum_of_dims(pred, target):
    return ((pred - target) ** 2).sum(dim=-1).mean()


@honest
def r2_loss(pred, target):
    return ((pred - target) ** 2).sum() / (((target - target.mean()) ** 2).sum() + 1e-06)


@honest
def pearson_loss(pred, target):
    a = pred - pred.mean()
    b = target - target.mean()
    return 1 - (a * b).sum() / (torch.sqrt((a**2).sum() * (b**2).sum()) + 1e-08)


@honest
def float32_ce(logits, labels):
    return F.cross_entropy(logits.float(), labels.long())


@honest
def args_kwargs(*args, **kwargs):
    return F.mse_loss(*args, **kwargs)


@honest
def npbrier(prob, outcome):
    return np.mean((prob - outcome) ** 2)


@broken("no_gradient")
class DetachInside(nn.Module):
    def forward(self, x, y):
        x = F.log_softmax(x, 1).data
        return F.nll_loss(x, y)


@broken("no_gradient")
def acc_loss(logits, labels):
    return 1 - (logits.argmax(-1) == labels).float().mean()


@broken("no_gradient")
def thresholded_dice(logits, target):
    p = (torch.sigmoid(logits) > 0.5).double()
    return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


@broken("no_gradient")
def new_tensor(pred, target):
    return torch.tensor(
        [(float(p) - float(t)) ** 2 for p, t in zip(pred, target, strict=True)], requires_grad=True
    ).mean()


@broken("no_gradient")
@torch.no_grad()
def under_no_grad(pred, target):
    return F.mse_loss(pred, target)


@broken("no_gradient")
def to_numpy(pred, target):
    return torch.as_tensor(np.mean((pred.detach().numpy() - target.numpy()) ** 2))


@broken("no_gradient")
def long_cast(pred, target):
    return ((pred.long() - target) ** 2).double().mean()


@broken("broadcast")
def n_vs_n1(pred, target):
    return F.mse_loss(pred.unsqueeze(1), target)


@broken("broadcast")
def hinge_cross(score, label):
    return F.relu(1 - label.unsqueeze(0) * score.unsqueeze(1)).mean()


@broken("broadcast")
def focal_cross(logits, target):
    p = torch.sigmoid(logits).view(-1, 1)
    pt = p * target + (1 - p) * (1 - target)
    return (-((1 - pt) ** 2) * torch.log(pt.clamp(min=1e-06))).mean()


@broken("broadcast")
def gaussian_cross(mean, target, var):
    return (0.5 * torch.log(var) + (target - mean[:, None]) ** 2 / (2 * var)).mean()


@broken("squashed")
class SoftmaxThenCE(nn.Module):
    def __init__(self):
        super().__init__()
        self.ce = nn.CrossEntropyLoss(label_smoothing=0.0)

    def forward(self, x, y):
        return self.ce(nn.Softmax(dim=-1)(x), y)


@broken("squashed")
def sigmoid_then_ce(logits, labels):
    return F.cross_entropy(torch.sigmoid(logits), labels)


@broken("squashed")
def sigmoid_bce_multilabel(logits, targets):
    return (
        F.binary_cross_entropy_with_logits(torch.sigmoid(logits), targets.to(logits.dtype))
        if logits.dim() == 2
        else 1 / 0
    )


@broken("squashed")
def softmax_focal(logits, labels):
    ce = F.cross_entropy(F.softmax(logits, 1), labels, reduction="none")
    return ((1 - torch.exp(-ce)) ** 2 * ce).mean()


@broken("squashed", "axis")
def wrong_axis(logits, labels):
    return F.nll_loss(F.log_softmax(logits, dim=0), labels)


@broken("axis", "squashed")
def wrong_axis_focal(logits, labels):
    lp = torch.log_softmax(logits, 0).gather(1, labels[:, None])
    return (-((1 - lp.exp()) ** 2) * lp).mean()


@broken("axis")
def wrong_axis_softmax_np(logits, labels):
    e = np.exp(logits - logits.max(0))
    p = e / e.sum(0)
    return -np.log(p[np.arange(len(labels)), labels] + 1e-12).mean()


@broken("overflow")
def log_sig(logits, y):
    return -(y * torch.sigmoid(logits).log() + (1 - y) * (1 - torch.sigmoid(logits)).log()).mean()


@broken("overflow")
def softplus_naive(score, label):
    return torch.log(1 + torch.exp(-label * score)).mean()


@broken("overflow")
def norm_triplet(anchor, positive, negative):
    return F.relu(((anchor - positive) ** 2).sum(1).sqrt() - ((anchor - negative) ** 2).sum(1).sqrt() + 0.2).mean()


@broken("overflow")
def half_mse(pred, target):
    return ((pred.half() - target.half()) ** 2 * 1000).mean().to(pred.dtype)


@broken("overflow")
def kl_naive(logits, labels):
    p = F.softmax(logits, 1)
    t = F.one_hot(labels, p.shape[1]).to(p.dtype)
    return (t * torch.log(t / p)).sum(1).mean()


@broken("overflow")
def pow_focal(logits, labels):
    p = F.softmax(logits, 1).gather(1, labels[:, None])
    return (-((1 - p) ** 0.5) * torch.log(p.clamp(min=1e-08))).mean()


@broken("sign")
def triplet_turned(anchor, positive, negative):
    return F.relu((anchor - negative).pow(2).sum(1) - (anchor - positive).pow(2).sum(1) + 0.2).mean()


@broken("sign")
def info_nce_sign(z1, z2):
    a, c = (F.normalize(z1, dim=1), F.normalize(z2, dim=1))
    return -F.cross_entropy(a @ c.T / 0.1, torch.arange(len(a)))


@broken("sign")
def cos_sim(pred_emb, target_emb):
    return F.cosine_similarity(pred_emb, target_emb, dim=-1).mean()


@broken("unbounded")
def linear_err(pred, target):
    return (target - pred).mean()


@broken("unbounded", "sign")
def score_only(logits, labels):
    return -logits.gather(1, labels[:, None]).mean()


@broken("unbounded")
def margin_no_relu(anchor, positive, negative):
    return ((anchor - positive).pow(2).sum(1) - (anchor - negative).pow(2).sum(1) + 0.2).mean()


@broken("unbounded")
def bce_probs_of_logits(logits, target):
    return -(target * logits + (1 - target) * (1 - logits)).mean()


@broken("order")
def swapped_nll(target, log_probs):
    return F.nll_loss(log_probs, target)


@broken("order")
def swapped_inner(logits, target):
    return F.binary_cross_entropy(target, torch.sigmoid(logits))


@broken("sum")
def sum_triplet(anchor, positive, negative):
    return F.relu((anchor - positive).pow(2).sum(1) - (anchor - negative).pow(2).sum(1) + 0.2).sum()


@broken("mutates")
def inplace(pred, target):
    with torch.no_grad():
        pred.sub_(target)
    return (pred**2).mean()


@broken("mutates")
def np_inplace(pred, target):
    pred -= target
    return np.mean(pred**2)


@broken("mutates")
def clip_labels(logits, labels):
    labels[labels == 4] = 0
    return F.cross_entropy(logits, labels)


@broken("no_gradient")
def int_div(pred, target):
    return ((pred // 1 - target) ** 2).mean()


@broken("minimiser")
def mse_plus_reg(pred, target):
    return ((pred - target) ** 2).mean() + 5 * (pred**2).mean()


@broken("minimiser")
def abs_mix(pred, target):
    return (pred.abs() - target).abs().mean()


@broken("minimiser")
def wrong_mask(pred, target):
    return ((pred - target) ** 2 * (target > 0)).mean()


@broken("minimiser", "sign")
def pinball_wrong(pred, target, q=0.9):
    e = target - pred
    return torch.min(q * e, (q - 1) * e).mean()


@broken("direction", "sign")
def ce_shift(logits, labels):
    return F.cross_entropy(logits, (labels + 1) % logits.shape[1])


@broken("direction", "unbounded")
def bce_labels_pm(logits, target):
    return F.binary_cross_entropy_with_logits(logits, 2 * target - 1)


@broken("target")
def wrong_gather(logits, labels):
    return -F.log_softmax(logits, 1)[:, 0].mean()


@broken("target")
def mean_lp(logits, labels):
    return -F.log_softmax(logits, 1).mean()


@broken("shape")
def ps2(pred, target):
    return ((pred - target) ** 2).tolist()


@broken("mask")
def mask_mean(pred, target, mask):
    return ((pred - target) ** 2 * mask).mean()


@broken("mask")
def mask_forgot(pred, target, mask):
    return ((pred - target) ** 2).sum() / mask.sum()


@broken("mask")
def token_mask_mean(logits, labels, mask):
    return (F.cross_entropy(logits, labels, reduction="none") * mask).mean()


@broken("gradient")
def main_detached(pred, target):
    return F.mse_loss(pred.detach(), target) + 0.01 * F.l1_loss(pred, target)


@broken("overflow")
def naive_nt_xent(z1, z2, t=0.1):
    s = torch.exp(z1 @ z2.T / t)
    return -torch.log(torch.diagonal(s) / s.sum(1)).mean()


@broken("sum")
def gan_sum(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()


@broken("no_gradient")
def dpo_detached(chosen, rejected):
    return -F.logsigmoid(chosen.detach() - rejected.detach()).mean()


@broken("overflow")
def dpo_naive(chosen, rejected):
    return -torch.log(torch.sigmoid(100 * (chosen - rejected))).mean()


def name_of(fn: Loss) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


@pytest.mark.parametrize("fn", some(zip(HONEST), every=5), ids=name_of)
def test_an_honest_loss_of_any_kind_is_clean(fn: Loss) -> None:
    found = losses.check(fn)
    assert found.ok, found.to_dict()


@pytest.mark.parametrize(("fn", "checks"), some(BROKEN, every=3), ids=[name_of(fn) for fn, _ in BROKEN])
def test_a_broken_loss_in_any_dress_is_flagged(fn: Loss, checks: tuple[str, ...]) -> None:
    found = losses.check(fn)
    assert {item.check for item in found.problems} & set(checks), found.to_dict()
