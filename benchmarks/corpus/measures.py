"""The measures of README.md, computed: what they propose for a run, and how often the rater said the same.

python -m benchmarks.corpus.measures    # agreement by condition, and the runs on which eye and measure differ
"""

from __future__ import annotations

import numpy as np

from .runs import CALM, CONDITIONS, SPLITS, Array, Run, load, running_median

CALM_CONDITIONS = ("convergence", "improving", "healthy")


def finite(curve: Array) -> Array:
    return curve[np.isfinite(curve[:, 1])]


def smoothed(curve: Array, parts: int, widest: int) -> Array:
    return running_median(curve[:, 1], min(widest, max(1, len(curve) // parts)))


def proposal(run: Run) -> set[str]:
    """The conditions by measure alone; one of healthy, convergence, improving where no other holds."""
    train, val = finite(run.train), finite(run.val)
    found = {"nan"} if run.nan_step() is not None else set()
    if len(train) < 3 or len(val) < 3 or not np.isfinite(run.train[-1, 1]):
        return found | {"divergence"}
    low, high = smoothed(train, 25, 101), smoothed(val, 12, 15)
    end = float(low[-max(1, len(low) // 10) :].mean())
    progress = low[0] - low.min()
    lost = end - low.min() > progress / 2 and end - low.min() > 0.25 * abs(low.min())
    if end > low[0] + 0.05 * abs(low[0]) or lost:
        found.add("divergence")
    elif overfits(val, high):
        found.add("overfitting")
    gains = [(each[0] - each.min()) / max(abs(each[0]), 1e-12) for each in (low, high)]
    if max(gains) < 0.05 and not found:
        found.add("stagnation")
    if swings(train, progress, 0.35, 0.08) or swings(val, high[0] - high.min(), 0.25, 0.15):
        found.add("oscillation")
    if spikes(train, progress):
        found.add("spike")
    return found if found - {"spike"} else found | {calm(high)}


def overfits(val: Array, smooth: Array) -> bool:
    lowest = int(smooth.argmin())
    rise = float(smooth[-max(1, len(smooth) // 10) :].mean() - smooth[lowest])
    typical = float(np.median(np.abs(np.diff(val[:, 1]))))
    return rise > 0.02 * abs(smooth[lowest]) and rise > 2.5 * typical and len(val) - 1 - lowest >= 4


def swings(curve: Array, progress: float, of_loss: float, of_progress: float) -> bool:
    half = len(curve) // 2
    off = (curve[:, 1] - running_median(curve[:, 1], min(101, max(5, len(curve) // 25))))[half:]
    size = float(np.median(np.abs(off)) * 1.4826)  # so that a few outliers are no swings
    return size > of_loss * abs(float(np.median(curve[half:, 1]))) and size > of_progress * max(progress, 0.0)


def spikes(train: Array, progress: float) -> bool:
    local = running_median(train[:, 1], min(101, max(5, len(train) // 25)))
    above = train[:, 1] - local
    noise = 1.4826 * float(np.median(np.abs(above)))
    return bool((above > np.maximum(np.maximum(abs(local), 0.1 * progress), 8 * noise))[len(train) // 20 :].any())


def calm(smooth: Array) -> str:
    gained = (smooth[-max(1, len(smooth) // 5) - 1] - smooth[-1]) / max(float(smooth[0] - smooth.min()), 1e-12)
    return "improving" if gained > 0.04 else "healthy" if gained > 0.01 else "convergence"


def agrees(run: Run, proposed: set[str], name: str) -> bool | None:
    """Whether eye and measure say the same of a condition; None where the run does not count."""
    truth = run.truth(name)
    return None if truth is None else truth == (name in proposed)


def main() -> None:
    runs = [run for split in SPLITS for run in load(split) if run.confidence == "high"]
    proposed = [proposal(run) for run in runs]
    for name in CONDITIONS:
        same = [v for run, said in zip(runs, proposed, strict=True) if (v := agrees(run, said, name)) is not None]
        print(f"{name}: {sum(same)} of {len(same)}")
    calm_or = [{"calm"} if labels & CALM else labels for labels in (run.labels - {"spike"} for run in runs)]
    calm_said = [{"calm"} if said & CALM else said - {"spike"} for said in proposed]
    print(
        f"all, calm as one, spikes aside: {sum(a == b for a, b in zip(calm_or, calm_said, strict=True))} of {len(runs)}"
    )
    for run, said in zip(runs, proposed, strict=True):
        if any(agrees(run, said, name) is False for name in CONDITIONS):
            print(f"- {run.run_id}: seen {' '.join(sorted(run.labels))}; measured {' '.join(sorted(said))}")


if __name__ == "__main__":
    main()
