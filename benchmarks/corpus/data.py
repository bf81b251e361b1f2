"""Data that come with Python and scikit-learn, or are made: nothing is downloaded."""

from __future__ import annotations

import sysconfig
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets

from .loops import Data

SOURCES = ("argparse", "ast", "asyncio/tasks", "calendar", "configparser", "csv", "datetime", "decimal", "difflib")
SOURCES += ("doctest", "fractions", "heapq", "inspect", "json/decoder", "logging/__init__", "mailbox", "pathlib")
SOURCES += ("pickle", "random", "shutil", "statistics", "subprocess", "tarfile", "textwrap", "typing", "zipfile")


def _source(name: str) -> str:
    folder = Path(sysconfig.get_path("stdlib"))
    path = folder / f"{name}.py"
    return (path if path.exists() else folder / name / "__init__.py").read_text(encoding="utf-8", errors="replace")


def tensors(x: np.ndarray, y: np.ndarray, n: int | None, n_val: int, seed: int = 0, scale: bool = True) -> Data:
    """A shuffled split: `n` examples to train on (None: all the others), `n_val` to validate."""
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    if scale:
        x = (x - x.mean(0)) / (x.std(0) + 1e-8)
    kind = torch.long if y.dtype.kind in "iu" else torch.float32
    at, bt = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=kind)
    end = len(x) if n is None else n_val + n
    return Data(x=at[n_val:end], y=bt[n_val:end], x_val=at[:n_val], y_val=bt[:n_val])


def bundled(name: str, n: int | None = None, n_val: int = 100, seed: int = 0, scale: bool = True) -> Data:
    """One of scikit-learn's bundled sets: digits, breast_cancer, wine, iris, diabetes, linnerud."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        y = y.astype(float)
    return tensors(x, y, n, n_val, seed, scale)


@lru_cache
def text(chars: int = 400_000) -> bytes:
    """Source of Python's library, as bytes below 128."""
    joined = "\n".join(_source(name) for name in SOURCES)
    return joined.encode("ascii", "replace")[:chars]


def windows(length: int, n: int, n_val: int, seed: int = 0) -> Data:
    """Windows of `length` + 1 characters of source; validation comes from the last tenth, which is not trained on."""
    codes = torch.tensor(list(text()), dtype=torch.long)
    cut = int(0.9 * len(codes))
    generator = torch.Generator().manual_seed(seed)
    start = torch.randint(0, cut - length - 1, (n,), generator=generator)
    start_val = torch.randint(cut, len(codes) - length - 1, (n_val,), generator=generator)
    take = torch.arange(length + 1)
    a, b = codes[start[:, None] + take], codes[start_val[:, None] + take]
    return Data(x=a[:, :-1], y=a[:, 1:], x_val=b[:, :-1], y_val=b[:, 1:])


@lru_cache
def lines(modules: int = 12, width: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Which module does a line of source come from: hashed trigram counts (n, width), module numbers (n,)."""
    rows, labels = [], []
    for label, name in enumerate(SOURCES[:modules]):
        for line in _source(name).splitlines():
            if len(line.strip()) > 12:
                row = np.zeros(width, dtype=np.float32)
                stripped = line.strip()
                for i in range(len(stripped) - 2):
                    code = ord(stripped[i]) * 961 + ord(stripped[i + 1]) * 31 + ord(stripped[i + 2])
                    row[code % width] += 1
                rows.append(row)
                labels.append(label)
    return np.stack(rows), np.array(labels)


@lru_cache
def photo(size: int = 48) -> torch.Tensor:
    """A photograph that scikit-learn ships, as grey values of mean 0 (size, size)."""
    image = datasets.load_sample_image("china.jpg").mean(2)[:384, :384]
    block = 384 // size
    small = image.reshape(size, block, size, block).mean((1, 3))
    return torch.tensor((small - small.mean()) / small.std(), dtype=torch.float32)


def mackey_glass(n: int = 4000, tau: int = 17, seed: int = 0) -> np.ndarray:
    """The chaotic series of Mackey and Glass (1977), one value a unit of time, of mean 0 and standard deviation 1."""
    lag = 10 * tau  # ten steps of Euler a unit of time
    x = list(1.2 + 0.1 * np.random.default_rng(seed).standard_normal(lag + 1))
    for _ in range((n + 100) * 10):
        x.append(x[-1] + 0.1 * (0.2 * x[-1 - lag] / (1 + x[-1 - lag] ** 10) - 0.1 * x[-1]))
    series = np.array(x[lag + 1001 :: 10][:n])
    return (series - series.mean()) / series.std()
