"""The corpus by domain. The splits are by domain, never inside one."""

from __future__ import annotations

from collections.abc import Callable

from ..loops import Curves
from . import (
    alternation,
    collectives,
    commerce,
    control,
    depth,
    games,
    language,
    lending,
    likelihoods,
    linear,
    markets,
    noise,
    perception,
    physics,
    prose,
    relations,
    science,
    signals,
    sparse,
    tabular,
    trees,
    valleys,
    vision,
)

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
DEV_2: dict[str, Runs] = {
    "depth": depth.DEPTH,
    "adding": depth.ADDING,
    "parity": depth.PARITY,
    "valleys": valleys.VALLEYS,
    "games-of-two": valleys.GAMES,
    "one-bit": valleys.ONE_BIT,
    "pole": control.POLE,
    "pendulum": control.PENDULUM,
    "lessons": control.LESSONS,
    "triplets": relations.TRIPLETS,
    "graph": relations.GRAPH,
    "survival": relations.SURVIVAL,
    "patches": relations.PATCHES,
}
HELD_2: dict[str, Runs] = {
    "translation": signals.TRANSLATION,
    "tones": signals.TONES,
    "bars": signals.BARS,
    "lending": lending.LENDING,
    "pupil": lending.PUPIL,
    "waves": lending.WAVES,
    "ranking": lending.RANKING,
    "evidence": lending.EVIDENCE,
    "bidding": markets.BIDDING,
    "seasons": markets.SEASONS,
    "steering": markets.STEERING,
}
HELD_3: dict[str, Runs] = {
    "cells": perception.CELLS,
    "boxes": perception.BOXES,
    "clouds": perception.CLOUDS,
    "sounds": perception.SOUNDS,
    "holes": prose.HOLES,
    "tuning": prose.TUNING,
    "letters": prose.NAMES,
    "preferences": prose.PREFERENCES,
    "dictation": prose.DICTATION,
    "molecules": science.MOLECULES,
    "orbits": science.ORBITS,
    "operators": science.OPERATORS,
    "inverse": likelihoods.INVERSE,
    "volatility": likelihoods.VOLATILITY,
    "clicks": commerce.CLICKS,
    "demand": commerce.DEMAND,
    "claims": commerce.CLAIMS,
    "machines": commerce.MACHINES,
    "federation": collectives.FEDERATION,
    "experts": collectives.EXPERTS,
    "spiking": sparse.SPIKING,
    "forgers": collectives.FORGERS,
    "atoms": sparse.ATOMS,
}
SPLITS: dict[str, dict[str, Runs]] = {"dev": DEV, "held": HELD, "dev-2": DEV_2, "held-2": HELD_2, "held-3": HELD_3}
DOMAINS: dict[str, Runs] = {name: runs for split in SPLITS.values() for name, runs in split.items()}
