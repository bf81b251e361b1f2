"""Whether a metric should rise or fall, decided by its name. The one table for integrations and importers.

Each word of the name is looked up. A word that falls outweighs one that rises: `auc_loss` and `accuracy_error` are
errors.
"""

from __future__ import annotations

import re
from typing import Final

from monitor.languages import english

_FALLS: Final = frozenset({
    "loss", "losses", "logloss", "mlogloss", "hloss", "cost", "error", "errors", "err", "merror", "nll", "nloglik",
    "neglogloss", "nelbo", "crossentropy", "deviance", "mse", "rmse", "msle", "rmsle", "mae", "mape", "smape",
    "mase", "mphe", "wape", "l1", "l2", "huber", "hinge", "quantile", "pinball", "fair", "poisson", "gamma",
    "tweedie", "divergence", "kld", "kl", "kullback", "logcosh", "brier", "ece", "bce", "ce", "perplexity", "ppl",
    "bpc", "bpb", "bpd", "wer", "cer", "ter", "mer", "wil", "fid", "kid", "lpips", "regret", "distance", "violation",
    "residual", "inertia", "ade", "fde", "chamfer", "hausdorff", "epe",
})  # fmt: skip
"""Words for metrics that fall as training improves, as frameworks and papers spell them."""
_RISES: Final = frozenset({
    "acc", "accuracy", "auc", "auroc", "auprc", "aucpr", "aucmu", "roc", "map", "ndcg", "dcg", "pre", "precision",
    "recall", "sensitivity", "specificity", "f", "fbeta", "fscore", "f1", "fmeasure", "dice", "jaccard", "iou",
    "miou", "ap", "ar", "mrr", "hit", "hits", "hr", "hitrate", "r2", "kappa", "mcc", "corrcoef", "correlation",
    "pearson", "pearsonr", "spearman", "spearmanr", "kendall", "kendalltau", "similarity", "bleu", "sacrebleu",
    "rouge", "chrf", "meteor", "cider", "spice", "em", "match", "psnr", "ssim", "reward", "rewards", "rew",
    "return", "returns", "ret", "success", "winrate", "win", "wins", "elbo", "likelihood", "loglik", "loglikelihood",
    "evidence", "top", "pck", "concordance", "cindex", "purity", "nmi", "ari", "silhouette", "score",
    "fitness", "iu", "miu", "meaniu", "meaniou",
})  # fmt: skip
"""Words for metrics that rise as training improves."""
_NEGATED: Final = frozenset({"neg", "negative", "negated", "minus"})
"""In front of a metric these reverse it: scikit-learn's `neg_mean_squared_error` rises."""
_AT_RANK: Final = re.compile(r"(?<![a-z])[rp]@\d", re.IGNORECASE)
"""Recall and precision at a rank: `R@1`."""
_ONE_WORD: Final = re.compile(r"cross[ _-]?entropy|m?io_?u", re.IGNORECASE)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


def rises(metric: str) -> bool | None:
    """Whether a metric of this name rises as training improves; None if the name does not say.

    Parts that name a split or a rank (`val_auc`, `ndcg@5-`, `map@10`, `error@0.7`) are ignored.

    >>> [rises(name) for name in ("auc", "ndcg@5-", "val_accuracy", "mlogloss", "neg_mean_squared_error", "my_metric")]
    [True, True, True, False, True, None]
    """
    name = _ONE_WORD.sub(_joined, english(metric.partition("@")[0]))
    words = [word.lower() for word in _WORD.findall(name)]
    if words == ["f"]:  # optimisers print a function's value as `f`; the F measure always names a split
        return None
    turned = bool(_NEGATED.intersection(words))
    if any(_among(word, _FALLS) for word in words):
        return turned
    if any(_among(word, _RISES) for word in words) or _AT_RANK.search(metric):
        return not turned
    return None


def _joined(found: re.Match[str]) -> str:
    return f" {re.sub('[ _-]', '', found[0]).lower()} "


def _among(word: str, known: frozenset[str]) -> bool:
    return word in known or word.rstrip("0123456789") in known
