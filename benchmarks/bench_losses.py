"""Profile every loss of torch.nn and write the page of the docs, with a picture of each.

python benchmarks/bench_losses.py            # time each profile
python benchmarks/bench_losses.py --write    # docs/losses/torch.md and its pictures
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.profile_svg import svg  # noqa: E402 - after the path is set
from monitor.losses.profiles.measure import profile  # noqa: E402
from monitor.losses.profiles.report import LossProfile  # noqa: E402
from monitor.losses.profiles.torch_catalogue import torch_losses  # noqa: E402

INTRODUCTION = """# torch's losses, measured

Written by `python benchmarks/bench_losses.py --write` with torch {version} on the CPU; nothing here is looked up. What
each property means is in [the guide](../losses.md). The error is the prediction minus the target for regressions; for
scores it is how far the score lies on the wrong side, so the left of a picture is right and confident, the right is
wrong and confident. The dashed line is the slope, dots are kinks. Growth is that of the fastest side. Influence is
what one far outlier among 41 examples does to the best prediction (0 nothing, 1 all, - not defined). Stability is for
errors up to 1000 on the CPU, where some losses sum a batch in float16 itself. Cost is the time of forward and backward
on 2048 examples on one thread against plain MSE; it was measured on one machine and varies by some tens of percent.

| loss | symmetric | growth | convex | smooth | Lipschitz | influence | stable in | cost |
|---|---|---|---|---|---|---|---|---|
"""


def measured() -> dict[str, tuple[LossProfile, float]]:
    found = {}
    for name, loss in torch_losses().items():
        start = time.perf_counter()
        found[name] = (profile(loss, name=name), time.perf_counter() - start)
    return found


def row(found: LossProfile) -> str:
    cells = dict(found.rows())
    influence = cells["outlier influence"].replace("not defined", "-")
    smooth = "yes" if found.differentiable else f"kink at {cells['kinks']}"
    return (
        f"| [{found.name}] | {cells['symmetric']} | {cells['growth at the border']} | "
        f"{cells['convex']} | {smooth} | {cells['Lipschitz constant']} | {influence} | "
        f"{cells['stable in']} | {cells['cost against MSE']} |"
    )


def wrapped(text: str) -> list[str]:
    """The lines of a section, its list items wrapped at 119 columns."""
    found: list[str] = []
    for line in text.split("\n"):
        found += wrap(line, 119, subsequent_indent="  ") if line.startswith("- ") else [line]
    return found


def write(found: dict[str, tuple[LossProfile, float]], folder: Path) -> None:
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    page = [INTRODUCTION.format(version=torch.__version__.split("+")[0]).rstrip("\n")]
    page += [row(item) for item, _ in found.values()]
    for item, _ in found.values():
        (folder / f"{item.name}.svg").write_text(svg(item), encoding="utf-8")
        page += ["", *wrapped(item.to_markdown(picture=f"{item.name}.svg").rstrip("\n"))]
    page += ["", *[f"[{name}]: #{name.lower()}" for name in found]]
    (folder / "torch.md").write_text("\n".join(page) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/losses/torch.md and its pictures")
    parser.add_argument("--json", action="store_true", help="print the seconds of each profile as JSON")
    options = parser.parse_args()
    found = measured()
    seconds = {name: round(took, 3) for name, (_, took) in found.items()}
    if options.json:
        print(json.dumps({"seconds": seconds, "total": round(sum(seconds.values()), 3)}))
    else:
        for name, took in seconds.items():
            print(f"{name:32s} {took:6.2f} s")
        print(f"{'all of torch.nn':32s} {sum(seconds.values()):6.2f} s")
    if options.write:
        write(found, ROOT / "docs" / "losses")


if __name__ == "__main__":
    main()
