"""Draw runs as contact sheets, as the rater saw them: no rule has a say in it.

python -m benchmarks.corpus.plots --runs /tmp/corpus/pinn.jsonl --out /tmp/sheets

Grey is the training loss, blue its running median, red the validation loss and a dot its minimum; logarithmic where the
range exceeds 25. Below each, what `measures.py` proposes. Needs matplotlib, which nothing else here does.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from .measures import proposal
from .runs import Run, curve_of, running_median

ROWS, COLUMNS = 4, 3


def unlabelled(path: Path) -> list[Run]:
    """The runs of a file that `train.py` wrote, without any label."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    nothing = frozenset[str]()
    return [
        Run(run_id=row["run_id"], source=row["source"], unit=row["unit"], train=curve_of(row["train"]),
            val=curve_of(row["val"]), labels=nothing, open=nothing, confidence="", reason="")
        for row in records
    ]  # fmt: skip


def draw(axis: object, run: Run) -> None:
    train, val = run.train, run.val
    both = np.concatenate([train[:, 1], val[:, 1]])
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    axis.plot(train[:, 0], train[:, 1], color="0.7", lw=0.6)
    axis.plot(train[:, 0], running_median(train[:, 1], max(5, len(train) // 25)), color="tab:blue", lw=1)
    axis.plot(val[:, 0], val[:, 1], color="tab:red", lw=0.8, marker=".", ms=3 if len(val) < 40 else 1.5)
    if np.isfinite(val[:, 1]).any():
        best = int(np.nanargmin(val[:, 1]))
        axis.plot(*val[best], "o", color="black", ms=4)
    if low > 0 and high / low > 25:
        axis.set_yscale("log")
    axis.set_title(run.run_id, fontsize=8)
    axis.tick_params(labelsize=6)
    axis.set_xlabel(f"{numbers(run)}\n{' '.join(sorted(proposal(run)))}", fontsize=6)


def numbers(run: Run) -> str:
    """Start, lowest and end of the smoothed losses, and the share of the range gained in the last fifth."""
    out = []
    for name, curve in (("t", run.train), ("v", run.val)):
        y = curve[np.isfinite(curve[:, 1]), 1]
        if not len(y):
            continue
        smooth = running_median(y, min(15, max(1, len(y) // 12)))
        gained = (smooth[max(0, len(smooth) - max(1, len(smooth) // 5) - 1)] - smooth[-1]) / max(
            smooth[0] - smooth.min(), 1e-12
        )
        tail = smooth[-max(1, len(smooth) // 10) :].mean()
        out.append(f"{name} {smooth[0]:.3g} > {smooth.min():.3g} > {tail:.3g} last fifth {100 * gained:.3g} %")
    return f"{len(run.train)}+{len(run.val)} {run.unit} " + " | ".join(out)


def main() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parser = argparse.ArgumentParser(description="Draw runs as contact sheets.")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="files of train.py")
    parser.add_argument("--out", type=Path, required=True, help="folder of the sheets")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runs = [run for path in args.runs for run in unlabelled(path)]
    for sheet in range(math.ceil(len(runs) / (ROWS * COLUMNS))):
        figure, axes = plt.subplots(ROWS, COLUMNS, figsize=(15, 17))
        shown = runs[sheet * ROWS * COLUMNS : (sheet + 1) * ROWS * COLUMNS]
        for axis, run in zip(axes.flat, shown, strict=False):
            draw(axis, run)
        for axis in axes.flat[len(shown) :]:
            axis.remove()
        figure.tight_layout()
        figure.savefig(args.out / f"sheet-{sheet:02}.png", dpi=75)
        plt.close(figure)


if __name__ == "__main__":
    main()
