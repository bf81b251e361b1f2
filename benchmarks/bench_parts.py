"""False alarms of the rules over the parts of a composite loss: on calm runs, how often does each fire at any step?

    python benchmarks/bench_parts.py                # both tables, a few minutes of two cores
    python benchmarks/bench_parts.py --smoke        # a few seconds, for the tests

Real runs are small torch networks on scikit-learn's digits: a VAE with an annealed KL term, a classifier with an L2
penalty on its weights, two tasks on one trunk, and those with a penalty and an auxiliary term. Synthetic ones are 2
to 4 parts that fall at different speeds, with noise that wanders (AR(1), 0 to 0.97), penalties that grow and weights
that are annealed. Everything is calm: whatever fires is a false alarm, but for what a run is built to show
(`--faulty`).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from monitor.rules import diagnose
from monitor.rules.registry import BUILT_IN

Run = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]
"""Parts, weights and total of a run, each (n,)."""


OF_PARTS = frozenset(rule.spec.name for rule in BUILT_IN if rule.spec.of_parts)


def wandering(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Gaussian noise of unit variance with autocorrelation `rho`."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([np.sqrt(1 - rho**2)], [1, -rho], rng.normal(size=n + 300))[300:])


def synthetic(seed: int) -> Run:
    """A calm run of 2 to 4 parts, drawn from everything that is usual."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([150, 600, 3000, 20_000]))
    t = np.linspace(0, 1, n)
    rho = float(rng.choice([0.0, 0.5, 0.9, 0.97]))
    parts, weights = {}, {}
    for k in range(int(rng.integers(2, 4))):
        high, low = rng.uniform(0.5, 10), rng.uniform(0.02, 0.45)
        values = high * (low + (1 - low) * np.exp(-rng.uniform(2, 30) * t))
        parts[f"task_{k}"] = values + rng.uniform(0.005, 0.05) * high * low * wandering(rng, n, rho)
        weights[f"task_{k}"] = np.full(n, rng.uniform(0.3, 3) / high)
    if rng.random() < 0.5:
        size = rng.uniform(20, 200)
        parts["l2"] = size * (1 + rng.uniform(0, 2) * t)
        weights["l2"] = np.full(n, rng.uniform(0.001, 0.1) / size)
    elif rng.random() < 0.5:
        parts["kl"] = rng.uniform(1, 20) * (1 - np.exp(-20 * t)) + 0.02 * np.abs(wandering(rng, n, rho))
        weights["kl"] = np.minimum(t / rng.uniform(0.05, 0.5), 1.0) * rng.uniform(0.005, 0.05)
    total = np.sum([weights[name] * values for name, values in parts.items()], axis=0)
    return parts, weights, total


def real(kind: str, seed: int, steps: int = 1500) -> Run:
    """A small torch network on the digits, trained with a composite loss."""
    import torch
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels)
    ink = x.mean(1, keepdim=True)
    trunk = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    heads = nn.ModuleDict(
        {"cls": nn.Linear(64, 10), "ink": nn.Linear(64, 1), "code": nn.Linear(64, 32), "out": nn.Linear(16, 64)}
    )
    aux = nn.Linear(128, 10)
    modules = [trunk, heads, aux]
    optimizer = torch.optim.Adam([p for m in modules for p in m.parameters()], lr=1e-3)
    rows: dict[str, list[float]] = {}
    told: dict[str, list[float]] = {}
    totals = []
    for step in range(steps):
        at = torch.randint(len(x), (64,))
        parts, weights = _terms(kind, step / steps, (x[at], y[at], ink[at]), (trunk, heads, aux), functional)
        total = sum(weights[name] * part for name, part in parts.items())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
        for name, part in parts.items():
            rows.setdefault(name, []).append(part.item())
            told.setdefault(name, []).append(weights[name])
    arrays = {name: np.array(values) for name, values in rows.items()}
    return arrays, {name: np.array(values) for name, values in told.items()}, np.array(totals)


def _terms(
    kind: str, share: float, batch: tuple[Any, Any, Any], net: Any, f: Any
) -> tuple[dict[str, Any], dict[str, float]]:
    """The parts of one step's loss, and their weights."""
    (x, y, ink), (trunk, heads, aux) = batch, net
    import torch

    if kind == "vae":
        mean, log_var = heads["code"](trunk(x)).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        recon = f.binary_cross_entropy_with_logits(heads["out"](z), x, reduction="none").sum(1).mean()
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1).mean()
        return {"recon": recon, "kl": kl}, {"recon": 1.0, "kl": min(1.0, share / 0.3)}
    first = trunk[1](trunk[0](x))
    deep = trunk[3](trunk[2](first))
    parts = {"cls": f.cross_entropy(heads["cls"](deep), y)}
    weights = {"cls": 1.0}
    if kind in ("l2", "all"):
        parts["l2"] = sum((p**2).sum() for p in trunk.parameters())
        weights["l2"] = 1e-4
    if kind in ("tasks", "all"):
        parts["ink"] = f.mse_loss(heads["ink"](deep), ink)
        weights["ink"] = 10.0
    if kind == "all":
        parts["aux"] = f.cross_entropy(aux(first), y)
        weights["aux"] = 0.3
    return parts, weights


def fired(run: Run) -> dict[str, float]:
    """The rules over parts that fired, with the step at which each first did."""
    parts, weights, total = run
    step = np.arange(len(total), dtype=float)
    found = diagnose(
        np.c_[step, total],
        parts={name: np.c_[step, values] for name, values in parts.items()},
        weights={name: np.c_[step, values] for name, values in weights.items()},
    ).findings
    return {f.rule: f.fired_step for f in reversed(found) if f.rule in OF_PARTS}


def one(job: tuple[str, int, int]) -> tuple[str, int, Mapping[str, float]]:
    """Make and judge one run."""
    kind, seed, steps = job
    return kind, seed, fired(synthetic(seed) if kind == "synthetic" else real(kind, seed, steps))


def main() -> None:
    """Print, for each kind of run, the share on which each rule fired."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--synthetic", type=int, default=2000)
    parser.add_argument("--real", type=int, default=25, help="runs of each kind")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    many, few, steps = (40, 1, 150) if args.smoke else (args.synthetic, args.real, 1500)
    jobs = [("synthetic", seed, 0) for seed in range(many)]
    jobs += [(kind, seed, steps) for kind in ("vae", "l2", "tasks", "all") for seed in range(few)]
    with Pool(2) as pool:
        found = pool.map(one, jobs, chunksize=4)
    table: dict[str, dict[str, float]] = {}
    for kind in dict.fromkeys(kind for kind, _, _ in jobs):
        mine = [rules for k, _, rules in found if k == kind]
        counts = Counter(rule for rules in mine for rule in rules)
        table[kind] = {"runs": len(mine), **{rule: counts[rule] / len(mine) for rule in sorted(OF_PARTS)}}
        shown = "  ".join(f"{rule} {table[kind][rule]:.2%}" for rule in sorted(OF_PARTS))
        print(f"{kind:10} {len(mine):5} runs  {shown}")
        for k, seed, rules in found:
            if k == kind and rules and not args.smoke:
                print("           seed", seed, {rule: int(step) for rule, step in rules.items()})
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
