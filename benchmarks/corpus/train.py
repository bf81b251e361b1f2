"""Train the runs of the corpus and write their curves.

python -m benchmarks.corpus.train --out /tmp/corpus            # all domains, one file each, about 40 minutes
python -m benchmarks.corpus.train --out /tmp/corpus --domain vae pinn
python -m benchmarks.corpus.train --out /tmp/corpus --pack dev # from those files, write dev.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
import zlib
from pathlib import Path

import numpy as np
import torch

from .domains import DOMAINS, SPLITS
from .loops import Curves

HERE = Path(__file__).resolve().parent


def number(value: float) -> float | str:
    """Six significant digits, which is what a float32 holds; strict JSON where it is not finite."""
    if np.isfinite(value):
        short = float(f"{value:.6g}")
        return int(short) if short == int(short) and abs(short) < 1e15 else short
    return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def record(domain: str, name: str, curves: Curves) -> str:
    row = {"run_id": f"{domain}/{name}", "source": domain, "unit": curves.unit}
    every = {"train": curves.train, "val": curves.val, "lr": curves.lr, "grad_norm": curves.grad_norm}
    for key, points in every.items():
        if points or key in ("train", "val"):
            row[key] = [[number(step), number(value)] for step, value in points]
    return json.dumps(row, separators=(",", ":"))


def train(domain: str, out: Path, only: str | None = None) -> None:
    """Train one domain; a run's seed is a checksum of its name, so that runs can be added without changing others."""
    lines = []
    for name, run in DOMAINS[domain].items():
        if only and only != name:
            continue
        torch.manual_seed(zlib.crc32(f"{domain}/{name}".encode()))
        start = time.perf_counter()
        curves = run()
        lines.append(record(domain, name, curves))
        seconds = time.perf_counter() - start
        print(f"{domain}/{name}: {len(curves.train)} + {len(curves.val)} points, {seconds:.1f} s", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{domain}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def pack(out: Path, splits: list[str]) -> None:
    for split in splits:
        text = "".join((out / f"{domain}.jsonl").read_text(encoding="utf-8") for domain in SPLITS[split])
        (HERE / f"{split}.jsonl.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the runs of the corpus.")
    parser.add_argument("--out", type=Path, required=True, help="folder of one file a domain")
    parser.add_argument("--domain", nargs="+", choices=sorted(DOMAINS), help="default: all")
    parser.add_argument("--run", help="only the run of this name, to try it")
    parser.add_argument("--pack", nargs="+", choices=SPLITS, help="write these splits from the files in --out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.pack:
        pack(args.out, args.pack)
        return
    for domain in args.domain or DOMAINS:
        train(domain, args.out, args.run)


if __name__ == "__main__":
    main()
