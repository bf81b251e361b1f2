"""Loss functions: which values to expect, which are impossible, and how a function behaves.

Three entry points, all pure (no file, network or server):

- specifications: `CrossEntropy(classes=10).chance_level`, `from_torch(module)`, `parse("huber(0.5)")`, `check_initial`;
- measurement: `profile(fn, kind="regression")` for any torch or numpy callable;
- choice: `compare(losses, data, seeds=...)` trains, `advise(task=...)` reasons from measured profiles.

Importing this package imports neither numpy nor torch.

Example:
    >>> from monitor import losses
    >>> round(losses.CrossEntropy(classes=10).chance_level, 3)
    2.303
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from monitor.losses.specs.boxes import BoxIoU, CIoU, DIoU, GIoU
from monitor.losses.specs.checks import InitialLoss, check_initial, impossible, scaler, skill
from monitor.losses.specs.classification import BinaryCrossEntropy, CrossEntropy, LanguageModel
from monitor.losses.specs.composite import Adversarial, Composite, Custom
from monitor.losses.specs.likelihood import GaussianNLL, KLDivergence, PoissonNLL
from monitor.losses.specs.margin import Hinge, MarginRanking, MultiLabelMargin, MultiMargin
from monitor.losses.specs.meaning import meaning, meaning_sentence
from monitor.losses.specs.metric import Contrastive, CosineEmbedding, InfoNCE, Triplet
from monitor.losses.specs.overlap import Dice, Focal, IoU, Tversky
from monitor.losses.specs.parsing import kind_of, nearest_kind, parse, spec_of
from monitor.losses.specs.ranking import BPR, ListNet, RankNet
from monitor.losses.specs.regression import MAE, MSE, Huber, Quantile, SmoothL1
from monitor.losses.specs.robust import RMSE, Barron, Cauchy, GeneralisedCrossEntropy, LogCosh
from monitor.losses.specs.sequence import CTC
from monitor.losses.specs.spec import REGISTRY, LossSpec
from monitor.losses.specs.standing import HINT, Bounds, Standing, bounds, standing
from monitor.losses.specs.torch_modules import from_torch, torch_name

if TYPE_CHECKING:
    from monitor.losses.balance import Balancer as Balancer
    from monitor.losses.comparison.advice import Advice as Advice
    from monitor.losses.comparison.advice import Candidate as Candidate
    from monitor.losses.comparison.advice import advise as advise
    from monitor.losses.comparison.compare import Comparison as Comparison
    from monitor.losses.comparison.compare import compare as compare
    from monitor.losses.comparison.costs import cost_threshold as cost_threshold
    from monitor.losses.comparison.costs import expected_cost as expected_cost
    from monitor.losses.comparison.described import Described as Described
    from monitor.losses.comparison.described import describe as describe
    from monitor.losses.comparison.module import module as module
    from monitor.losses.comparison.search import Search as Search
    from monitor.losses.comparison.search import fit_barron as fit_barron
    from monitor.losses.comparison.search import search as search
    from monitor.losses.embeddings import EmbeddingHealth as EmbeddingHealth
    from monitor.losses.embeddings import embedding_health as embedding_health
    from monitor.losses.lint.lint import check as check
    from monitor.losses.lint.report import LintReport as LintReport
    from monitor.losses.lint.report import Problem as Problem
    from monitor.losses.profiles.measure import load as load
    from monitor.losses.profiles.measure import profile as profile
    from monitor.losses.profiles.report import LossProfile as LossProfile
    from monitor.losses.rankings import ranking_metrics as ranking_metrics

from_dict = LossSpec.from_dict

_LATER = {
    "balance": ("Balancer",),
    "comparison.advice": ("Advice", "Candidate", "advise"),
    "comparison.compare": ("Comparison", "compare"),
    "comparison.costs": ("cost_threshold", "expected_cost"),
    "comparison.described": ("Described", "describe"),
    "comparison.module": ("module",),
    "comparison.search": ("Search", "fit_barron", "search"),
    "embeddings": ("EmbeddingHealth", "embedding_health"),
    "lint.lint": ("check",),
    "lint.report": ("LintReport", "Problem"),
    "profiles.measure": ("load", "profile"),
    "profiles.report": ("LossProfile",),
    "rankings": ("ranking_metrics",),
}
_WHERE = {name: module for module, names in _LATER.items() for name in names}

__all__ = [
    "BPR",
    "CTC",
    "HINT",
    "MAE",
    "MSE",
    "REGISTRY",
    "RMSE",
    "Adversarial",
    "Advice",
    "Balancer",
    "Barron",
    "BinaryCrossEntropy",
    "Bounds",
    "BoxIoU",
    "CIoU",
    "Candidate",
    "Cauchy",
    "Comparison",
    "Composite",
    "Contrastive",
    "CosineEmbedding",
    "CrossEntropy",
    "Custom",
    "DIoU",
    "Described",
    "Dice",
    "EmbeddingHealth",
    "Focal",
    "GIoU",
    "GaussianNLL",
    "GeneralisedCrossEntropy",
    "Hinge",
    "Huber",
    "InfoNCE",
    "InitialLoss",
    "IoU",
    "KLDivergence",
    "LanguageModel",
    "LintReport",
    "ListNet",
    "LogCosh",
    "LossProfile",
    "LossSpec",
    "MarginRanking",
    "MultiLabelMargin",
    "MultiMargin",
    "PoissonNLL",
    "Problem",
    "Quantile",
    "RankNet",
    "Search",
    "SmoothL1",
    "Standing",
    "Triplet",
    "Tversky",
    "advise",
    "bounds",
    "check",
    "check_initial",
    "compare",
    "cost_threshold",
    "describe",
    "embedding_health",
    "expected_cost",
    "fit_barron",
    "from_dict",
    "from_torch",
    "impossible",
    "kind_of",
    "load",
    "meaning",
    "meaning_sentence",
    "module",
    "nearest_kind",
    "parse",
    "profile",
    "ranking_metrics",
    "scaler",
    "search",
    "skill",
    "spec_of",
    "standing",
    "torch_name",
]


def __getattr__(name: str) -> object:
    """Import what measures, and with it numpy, on first use."""
    if name in _WHERE:
        value: object = getattr(importlib.import_module(f"monitor.losses.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'monitor.losses' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
