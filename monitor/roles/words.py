"""Splits a name into words, and knows what each word means: data set, measure, average or anything else.

Names are split at punctuation, capitals and digits, so `val/loss`, `valLoss`, `Val Loss` and `VAL-LOSS` have the same
words. `valloss` is split because both pieces are known words.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from monitor.languages import english

TRAINED: Final = frozenset(
    {"train", "training", "trained", "trainset", "trn", "tr", "dtrain", "xtrain", "learn", "fit", "insample"}
)
HELD_OUT: Final = frozenset({
    "val", "valid", "validate", "validation", "validating", "vali", "vld", "va", "valset", "dval", "dvalid", "eval",
    "evaluation", "evaluate", "evaluating", "evalset", "dev", "devel", "devset", "cv", "hold", "holdout", "held",
    "heldout", "oof", "oob", "unseen",
})  # fmt: skip
TESTED: Final = frozenset({"test", "testing", "tested", "testset", "dtest", "xtest", "tst", "te"})
SETS: Final = TRAINED | HELD_OUT | TESTED
LOSS: Final = frozenset({"loss", "losses", "cost", "costs", "objective", "criterion"})
"""Words for what is minimised."""
LETTERS: Final = frozenset({"l", "j"})
"""The letter of a loss in papers, as in `L_train`; only next to a data set."""
ERRORS: Final = frozenset({
    "nll", "nloglik", "neglogloss", "nelbo", "ce", "xent", "crossentropy", "bce", "logloss", "mlogloss", "deviance",
    "mse", "rmse", "rms", "msle", "rmsle", "mae", "mape", "smape", "mphe", "huber", "hinge", "pinball", "quantile",
    "poisson", "gamma", "tweedie", "logcosh", "error", "errors", "err", "merror", "l1", "l2", "perplexity", "ppl",
    "bpc", "bpb", "bpw", "bpd",
    "inertia",
})  # fmt: skip
"""Error measures, used as the loss if nothing is called a loss."""
RATES: Final = frozenset({"error", "errors", "err", "merror"})
"""Of these, words that alone mean the share of wrong answers."""
DISTANCES: Final = frozenset({"squared", "square", "absolute", "abs", "percentage", "log", "logarithmic", "relative"})
"""Words that turn an error into a distance."""
PERPLEXITY: Final = frozenset({"ppl", "perplexity"})
"""Another presentation of the loss: `lm loss ppl` is not a loss."""
ERROR_WORDS: Final = frozenset({
    "mean", "squared", "square", "absolute", "abs", "root", "log", "logarithmic", "percentage", "relative", "binary",
    "categorical", "sparse", "multi", "multiclass", "softmax", "sigmoid", "negative", "neg", "likelihood", "entropy",
    "cross", "zero", "one", "hamming", "classification", "multilogloss", "masked", "focal", "smooth", "rate",
})  # fmt: skip
"""Words within the name of an error; they do not make it a part."""
TOTAL: Final = frozenset({"total", "sum", "overall", "full", "combined", "whole", "all", "joint"})
AVERAGED: Final = frozenset({
    "step", "steps", "epoch", "epochs", "avg", "avr", "average", "averaged", "mean", "running", "moving", "smoothed",
    "smooth", "smoothing", "ema", "iter", "iters", "iteration", "batch", "minibatch", "per", "end", "current",
    "start", "curr", "cur", "now", "final", "last", "global", "median", "macro",
    "micro", "on", "for", "of", "the", "at", "in", "out", "over", "s",
})  # fmt: skip
"""How something was averaged, and fillers: they do not change the quantity."""
OF_SETS: Final = frozenset({"set", "split", "data", "dataset", "fold"})
"""Fillers next to a data set, as in `loss on the training data`; alone they are a part, as in `loss/data`."""
PLACES: Final = frozenset({
    "metrics", "metric", "scalars", "scalar", "charts", "logs", "log", "history", "stats", "results", "result",
    "curves", "curve", "summary", "monitoring", "monitor", "performance", "perf", "model", "trainer", "epoch", "main",
    "rollout", "objective",
})  # fmt: skip
"""Folders in which trackers group their charts."""
INDEX: Final = frozenset({"dataloader", "loader", "idx"})
DERIVED: Final = frozenset({
    "best", "lowest", "highest", "min", "max", "minimum", "maximum", "std", "stddev", "stdev", "var", "variance", "sd",
    "sem", "ci", "scale", "scaler", "scaled", "unscaled", "weight", "weights",
    "lambda", "ratio", "diff", "difference", "delta", "gap", "change", "improvement", "threshold", "target", "count",
    "num", "number", "patience", "time", "seconds", "sec", "duration", "speed", "rank", "quantile25", "quantile75",
    "prev", "previous", "lr", "clipped", "weighted", "nan", "skipped", "lower", "upper", "grad",
    "ms", "memory", "mem", "bytes", "flops", "norm", "p50", "p95", "p99", "hparam", "hparams",
})  # fmt: skip
"""Words for what is derived from a quantity or accompanies it: the best so far is not the curve itself."""
FACTORS: Final = frozenset({"coef", "coeff", "coefficient"})
"""Factors of a loss; for a metric part of its name, as in `dice_coef`."""
GAME: Final = frozenset({
    "critic", "generator", "discriminator", "disc", "discr", "gan", "wgan", "adv", "adversarial", "adversary", "actor",
    "policy", "ppo", "vf", "qf", "sac", "td3", "netd", "netg", "minimax",
})  # fmt: skip
"""Words for a loss that is one side of a game or follows a policy: such a loss is not an error of the model."""
WEAK_GAME: Final = frozenset({"g", "d", "gen", "value", "q", "qf1", "qf2", "q1", "q2", "v", "pi", "alpha", "entropy",
                              "fake", "real", "td"})  # fmt: skip
"""Words that mean the same only next to another one of either kind."""
PLAYERS: Final = frozenset({"g", "d", "gen"})
"""Words for the two sides of a game, as in `loss/g/total` next to `loss/d/total`."""
EPISODES: Final = frozenset({"ep", "episode", "episodic", "episodes", "rollout", "rollouts"})
RETURNS: Final = frozenset({"reward", "rewards", "rew", "return", "returns", "ret"})
PREFERENCES: Final = frozenset({"chosen", "rejected", "margins", "margin", "accuracies"})
"""Next to `rewards/`, these mean preference training, whose loss is an error."""
GRADIENT: Final = frozenset({"grad", "gradient", "gradients", "grads", "gradnorm"})
_GOALS: Final = (
    "success winrate win reward rewards rew return returns ret fitness",
    "map mapm miou meaniou miu meaniu ap iou iu dice jaccard", "bleu sacrebleu chrf",
    "accuracy acc accuracies", "f1 fscore fbeta fmeasure f", "auc auroc auprc aucpr roc aucmu", "ndcg mrr hit hits hr",
    "wer cer ter", "fid kid psnr ssim lpips", "rouge rouge1 rouge2 rougel meteor cider em match", "r2 mcc kappa",
    "spearman spearmanr pearson pearsonr correlation corrcoef", "score elbo recall precision top perplexity ppl",
)  # fmt: skip
GOALS: Final = {word: place for place, words in enumerate(_GOALS) for word in words.split()}
"""Measures that people train for, most likely first."""
FALLING_GOALS: Final = frozenset({"wer", "cer", "ter", "mer", "wil", "fid", "kid", "lpips", "perplexity", "ppl", "bpc",
                                  "bpb", "bpd", "brier", "ece", "chamfer", "hausdorff", "epe", "regret"})  # fmt: skip

_CUT: Final = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+|[^\W\d_]+")
_ACRONYMS: Final = re.compile(
    r"mAP|m[_-]?IoU|IoU|cross[ _-]?entropy|(?<![a-z])log[ _-]?loss|f1|r\^?2|R²|learning[ _.\/-]?rate|"
    r"hold[ _-]?out|held[ _-]?out|word[ _-]error[ _-]rate|char(?:acter)?[ _-]error[ _-]rate|"
    r"(?:in|out[ _-]of)[ _-]sample|(?<![a-z])r(?=@\d)",
    re.IGNORECASE,
)
_MEANT: Final = {
    "worderrorrate": "wer", "charerrorrate": "cer", "charactererrorrate": "cer", "outofsample": "oof", "r": "recall",
}  # fmt: skip
"""Phrases replaced by one word."""
_KNOWN: Final = frozenset().union(
    SETS, LOSS, ERRORS, TOTAL, AVERAGED, DERIVED, GAME, GRADIENT, GOALS, FALLING_GOALS, INDEX, RETURNS, EPISODES,
    {"norm", "learningrate", "lr"},
)  # fmt: skip
_PIECES: Final = SETS | LOSS | {"acc", "accuracy", "auc", "norm", "grad", "gradient", "error", "err", "mse", "ppl",
                                "perplexity", "nll", "ce", "total", "avg", "mean", "epoch", "step"}  # fmt: skip


@lru_cache(maxsize=8192)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, with its numbers.

    >>> words_of("Val_Loss"), words_of("trainLoss"), words_of("validation_0-logloss"), words_of("testacc")
    (('val', 'loss'), ('train', 'loss'), ('validation', '0', 'logloss'), ('test', 'acc'))
    """
    found: list[str] = []
    for word in _CUT.findall(_ACRONYMS.sub(_joined, english(name[:1000]))):
        found += _known_pieces(word.lower())
    return tuple(found)


def _joined(found: re.Match[str]) -> str:
    text = re.sub(r"[ _./^-]", "", found[0]).lower().replace("²", "2")
    text = _MEANT.get(text, text)
    return f" {text} " if text not in ("f1", "r2") or _stands_alone(found) else found[0]


def _stands_alone(found: re.Match[str]) -> bool:
    text, (begin, end) = found.string, found.span()
    return not (text[begin - 1 : begin].isalnum() and begin) and not text[end : end + 1].isdecimal()


def _known_pieces(word: str) -> list[str]:
    if word in _KNOWN or word.isdecimal():
        return [word]
    stem = word.rstrip("0123456789")
    if stem != word and stem in _KNOWN:
        return [stem, word[len(stem) :]]
    for at in range(2, len(word) - 1):
        if word[:at] in _PIECES and word[at:] in _PIECES:
            return [word[:at], word[at:]]
    if stem.endswith("loss") and len(stem) > 4:
        return [*_known_pieces(stem[:-4]), "loss", *([word[len(stem) :]] if stem != word else [])]
    return [word]
