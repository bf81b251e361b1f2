"""Train every candidate of `losses advise` under every condition that can be asked for, and keep what came out.

    python benchmarks/bench_advice.py --write          # all tasks, into monitor/losses/comparison/measured.json
    python benchmarks/bench_advice.py --task ranking   # one task, printed

The advice ranks by these figures and shows them. Data are scikit-learn's own sets, or made here by a generator.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from monitor.losses.comparison.candidates import CHOICES
from monitor.losses.comparison.compare import compare

KEPT = Path(__file__).parents[1] / "monitor" / "losses" / "comparison" / "measured.json"
SEEDS = 5
SKEW = 20
Data = tuple[np.ndarray, np.ndarray]


def _sklearn(name: str) -> Data:
    from sklearn import datasets

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return inputs, targets


def skewed(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Data:
    """The same data with the last class (of two, the positive one) thinned to one in `SKEW` of what it was."""
    rare = np.flatnonzero(y == y.max())
    kept = np.concatenate([np.flatnonzero(y != y.max()), rng.permutation(rare)[: max(len(rare) // SKEW, 10)]])
    return x[kept], y[kept]


def pixels(rate: float) -> Callable[[np.random.Generator], Data]:
    """Pixels of eight features, of which a share is foreground; the classes overlap."""

    def make(rng: np.random.Generator) -> Data:
        y = (rng.random(4000) < rate).astype(int)
        return rng.normal(0, 1, (4000, 8)) + 0.7 * y[:, None] * (np.arange(8) < 4), y

    return make


def counts(rng: np.random.Generator) -> Data:
    """Poisson counts of a log-linear rate with a bend."""
    x = rng.normal(0, 1, (1500, 4))
    return x, rng.poisson(np.exp(0.5 + 0.8 * x[:, 0] - 0.6 * np.abs(x[:, 1])))


def spread(rng: np.random.Generator) -> Data:
    """A regression whose noise grows with an input and leans to one side."""
    x = rng.normal(0, 1, (1500, 4))
    return x, x[:, 0] + np.exp(0.5 * x[:, 1]) * rng.gamma(2.0, 1.0, 1500)


def lists(rng: np.random.Generator) -> Data:
    """Lists of 20 items of which a few are relevant, with noise."""
    x = rng.normal(0, 1, (4000, 6))
    value = x[:, 0] + 0.5 * x[:, 1] * x[:, 2] + 0.7 * rng.normal(0, 1, 4000)
    rank = np.argsort(np.argsort(-value.reshape(-1, 20), axis=1), axis=1).ravel()
    return x, np.where(rank < 2, 2.0, np.where(rank < 5, 1.0, 0.0))


def boxed(rng: np.random.Generator) -> Data:
    """Pictures of 16 x 16 pixels with noise, and a bright box of 2 to 12 pixels a side."""
    size = np.exp(rng.uniform(np.log(2), np.log(12), (2000, 2)))
    first = rng.uniform(0, 16 - size)
    at = np.arange(16) + 0.5
    held = [(at > first[:, k, None]) & (at < (first + size)[:, k, None]) for k in (0, 1)]
    picture = held[0][:, :, None] & held[1][:, None, :]
    return (picture + 0.3 * rng.normal(size=picture.shape)).reshape(len(size), -1), np.hstack([first, first + size])


def credit(rng: np.random.Generator) -> Data:
    """Defaults, one in ten."""
    x = rng.normal(0, 1, (3000, 6))
    return x, (rng.random(3000) < 1 / (1 + np.exp(3 - 1.2 * x[:, 0] - x[:, 1] * x[:, 2]))).astype(int)


def tokens(rng: np.random.Generator) -> Data:
    """The next of 30 tokens from the two before, by a random table whose rows are peaked."""
    table = rng.dirichlet(np.full(30, 0.08), 30)
    text = [0]
    for _ in range(4000):
        text.append(int(rng.choice(30, p=table[text[-1]])))
    hot = np.eye(30)[text]
    return np.concatenate([hot[1:-1], hot[:-2]], axis=1), np.array(text[2:])


def conditions(task: str) -> dict[str, tuple[object, dict[str, object]]]:
    """Condition to the data and the settings of `compare`."""
    if task in ("classification", "binary"):
        name = "digits" if task == "classification" else "breast_cancer"
        x, y = _sklearn(name)
        both: dict[str, object] = {"metric": "balanced_accuracy"}
        return {
            "clean": (name, both),
            "label_noise": (name, {**both, "label_noise": 0.4 if task == "classification" else 0.3}),
            "outliers": (name, {**both, "outliers": 0.1}),
            "imbalance": (lambda rng: skewed(x, y, rng), both),
        }
    found: dict[str, dict[str, tuple[object, dict[str, object]]]] = {
        "regression": {"clean": ("diabetes", {"metric": "rmse"}), "outliers": ("diabetes", {"outliers": 0.05})},
        "segmentation": {
            "clean": (pixels(0.3), {"metric": "iou"}),
            "label_noise": (pixels(0.3), {"metric": "iou", "label_noise": 0.2}),
            "imbalance": (pixels(1 / (SKEW + 1)), {"metric": "iou"}),
        },
        "detection": {"clean": (boxed, {}), "outliers": (boxed, {"outliers": 0.1})},
        "metric": {"clean": ("digits", {}), "label_noise": ("digits", {"label_noise": 0.3})},
        "counts": {"clean": (counts, {})},
        "quantile": {"clean": (spread, {"metric": "pinball(0.9)"})},
        "ranking": {"clean": (lists, {})},
        "cost": {"clean": (credit, {"costs": (1.0, 10.0)})},
        "language": {
            "clean": (tokens, {"metric": "accuracy"}),
            "label_noise": (tokens, {"metric": "accuracy", "label_noise": 0.2}),
        },
    }
    return found[task]


HARNESS = {
    "segmentation": "binary",
    "detection": "boxes",
    "quantile": "regression",
    "cost": "binary",
    "language": "classification",
}
"""What `compare` calls the task."""


MADE = {
    "segmentation": "made pixels", "detection": "made pictures with a box", "counts": "made counts",
    "quantile": "made skewed noise", "ranking": "made lists", "cost": "made credit data", "language": "made tokens",
    "classification": "digits", "binary": "breast_cancer", "regression": "diabetes", "metric": "digits",
}  # fmt: skip
"""What the figures are said to be of."""


def measure(task: str) -> dict[str, object]:
    """Every candidate of a task under every condition: mean, half its interval, and what it is surely behind by."""
    found: dict[str, object] = {}
    for condition, (data, settings) in conditions(task).items():
        names = [item.train or item.name for item in CHOICES[task]]
        result = compare(names, data, SEEDS, task=HARNESS.get(task, task), **settings)  # type: ignore[arg-type]  # above
        rows = {
            item.loss: [round(item.mean, 4), round(item.high - item.mean, 4), round(max(item.behind[1], 0.0), 6)]
            for item in result.entries
        }
        found[condition] = {"metric": result.metric, "higher": result.higher, "data": MADE[task], "losses": rows}
        print(task, condition, result.to_markdown(), sep="\n", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(CHOICES))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for task in [given.task] if given.task else list(CHOICES):
        kept[task] = measure(task)
        if given.write:
            KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
