"""The corpus by domain. The halves are split by domain, never inside one."""

from __future__ import annotations

from collections.abc import Callable

from ..loops import Curves
from . import alternation, games, language, linear, noise, physics, tabular, trees, vision

Runs = dict[str, Callable[[], Curves]]

DEV: dict[str, Runs] = {
    "digits": vision.DIGITS,
    "cancer": tabular.CANCER,
    "gru-characters": language.GRU,
    "trees-regression": trees.REGRESSION,
    "stream": linear.STREAM,
    "factorisation": linear.FACTORS,
    "pinn": physics.PINN,
    "counts": noise.COUNTS,
    "adversaries": games.ADVERSARIES,
}
HELD: dict[str, Runs] = {
    "wine-iris": tabular.SMALL,
    "diabetes": tabular.DIABETES,
    "transformer-bytes": language.TRANSFORMER,
    "code-lines": language.LINES,
    "reversal": language.REVERSE,
    "skip-gram": language.SKIPGRAM,
    "modular-addition": language.MODULAR,
    "trees-classification": trees.CLASSIFICATION,
    "vae": vision.VAE,
    "photograph": vision.PHOTO,
    "contrastive": vision.CONTRASTIVE,
    "chaotic-series": physics.SERIES,
    "density": physics.DENSITY,
    "diffusion": noise.DIFFUSION,
    "agents": games.AGENTS,
    "heavy-tails": games.TAILS,
    "alternation": alternation.ALTERNATION,
}
