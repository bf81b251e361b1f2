"""Inputs that nobody would write, made of ones that somebody did: decoders must read or refuse them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

FAST, LONG_S = 200, float(os.environ.get("FUZZ_S", "120"))
"""Inputs of a test in the fast suite, and seconds of one that is marked `slow`; `FUZZ_S=600` takes ten minutes each."""
BUDGETS = [pytest.param(None, id="fast"), pytest.param(LONG_S, id="two-minutes", marks=pytest.mark.slow)]
"""For `pytest.mark.parametrize("seconds", BUDGETS)`."""


def mutants(seeds: Sequence[bytes], words: Sequence[bytes], seconds: float | None) -> Iterator[bytes]:
    """Inputs, each a seed after some changes; the same ones in every fast run.

    Args:
        seeds: valid inputs.
        words: what is put in here and there.
        seconds: how long to go on; None for the fast suite's number of inputs.
    """
    rng = random.Random(20_251_128)
    end = None if seconds is None else time.monotonic() + seconds
    done = 0
    while done < FAST if end is None else time.monotonic() < end:
        yield _changed(bytearray(rng.choice(seeds)), seeds, words, rng)
        done += 1


def _changed(data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((0, 1, 2, 8, 64)))
        match rng.randrange(6):
            case 0:
                data[at:to] = rng.choice(words)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to] * rng.choice((1, 2, 200))
            case 3:
                data[at:to] = rng.randbytes(to - at)
            case 4:
                del data[at:]
            case _:
                other = rng.choice(seeds)
                data[at:to] = other[rng.randint(0, len(other)) :]
    return bytes(data)


def refuses_in_one_way(read: Callable[[bytes], object], inputs: Iterator[bytes], error: type[Exception]) -> int:
    """Read every input: it is read, or refused with this error in one line that can be printed; how many were read."""
    taken = 0
    for data in inputs:
        said = "read"
        try:
            read(data)
            taken += 1
        except error as refused:
            said = str(refused)
        except BaseException as wrong:
            raise AssertionError(f"{type(wrong).__name__} at {data[:2000]!r}") from wrong
        assert 0 < len(said.strip()) < 10_000, data[:2000]
    return taken
