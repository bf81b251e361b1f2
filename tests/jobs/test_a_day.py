"""What a team's channel gets in a day of 200 runs: few messages, each of which a person wants."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.alerts import MemoryChannel
from monitor.jobs import Jobs
from monitor.settings import load
from monitor.store import Store
from tests.conftest import NOW_MS, Feed

RUNS = 200
MINUTE = 60_000


STEPS = 400


def curves(kind: str, rng: np.random.Generator, *, rough: bool) -> tuple[np.ndarray, np.ndarray]:
    """Training losses and validation losses of every tenth step, with the noise of small batches.

    Args:
        kind: what goes wrong, if anything.
        rough: also schedules of the learning rate, gaps, and noise that wanders, has outliers, or grows.
    """
    steps = np.arange(STEPS)
    floor, speed = rng.uniform(0.05, 0.4), rng.uniform(60, 160)
    noise = math.exp(rng.uniform(math.log(0.005), math.log(0.12))) if rough else rng.uniform(0.01, 0.06)
    train = floor + rng.uniform(1.5, 3) * np.exp(-steps / speed)
    val = 1.08 * train + 0.02
    if rough:
        train = scheduled(train, rng)
        val = rng.uniform(1.0, 1.3) * train + rng.uniform(0, 0.05)
    if kind == "overfits":
        train, val = train * np.exp(-steps / 300), val + np.maximum(0, steps - 150) * 0.004
    train = train * np.exp(wandering(noise, rng) if rough else rng.normal(0, noise, STEPS))
    train[rng.random(STEPS) < 0.004] *= rng.uniform(1.5, 2.5)  # a hard batch now and then
    val = val * np.exp(rng.normal(0, noise / 2, STEPS))
    if kind == "breaks":
        train[220:] = math.nan
    return train, val[::10]


def scheduled(loss: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A loss under a constant learning rate, one that drops, one that restarts, or one that warms up too fast."""
    steps, shape = np.arange(STEPS), rng.integers(4)
    if shape == 1:
        return loss * np.where(steps < 150, 1, 0.85) * np.where(steps < 280, 1, 0.9)
    if shape == 2:
        return loss * (1 + 0.15 * np.abs(np.sin(steps / 60)))
    return loss + 0.5 * np.exp(-(((steps - 15) / 8) ** 2)) if shape == 3 else loss


def wandering(noise: float, rng: np.random.Generator) -> np.ndarray:
    """White noise, noise with a memory, noise with outliers, or noise that grows."""
    kind, white = rng.integers(4), rng.normal(0, noise, STEPS)
    if kind == 1:
        for i in range(1, STEPS):
            white[i] = 0.9 * white[i - 1] + 0.44 * white[i]
    elif kind == 2:
        white = np.clip(rng.standard_t(4, STEPS) * noise / 1.4, -1, 1)
    return white * (0.5 + np.arange(STEPS) / STEPS) if kind == 3 else white


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "seed"), [("calm", 7), ("calm", 33), ("calm", 103), ("rough", 401), ("rough", 402), ("rough", 403)]
)
def test_a_day_of_two_hundred_runs_sends_fewer_than_ten_messages(
    sqlite_url: str, tmp_path: object, noise: str, seed: int
) -> None:
    rng, channel, now = np.random.default_rng(seed), MemoryChannel(), [NOW_MS]
    kinds = {17: "overfits", 90: "overfits", 60: "breaks", 120: "fails", **dict.fromkeys(range(140, 152), "is lost")}
    settings = load(dir=str(tmp_path), liveness_interval_s=60.0)
    with Store.open(sqlite_url) as store:
        jobs = Jobs(store, settings, channels=[channel], clock=lambda: now[0])
        jobs.run("delivery")
        live: list[tuple[Feed, str, np.ndarray, np.ndarray, int]] = []
        begun = 0
        for minute in range(24 * 60):
            now[0] = NOW_MS + minute * MINUTE
            while begun < RUNS and begun * 6.5 <= minute:
                feed = Feed(store, now_ms=now[0])
                feed.start(name=f"run-{begun}", project=f"team-{begun % 3}", heartbeat_s=60)
                kind = kinds.get(begun, "learns")
                live.append((feed, kind, *curves(kind, rng, rough=noise == "rough"), minute))
                begun += 1
            live = [each for each in live if not advance(each, minute, now[0])]
            jobs.run("liveness")
            jobs.run("alerts")
            for _ in range(2):
                now[0] += 20_000
                jobs.run("delivery")
    titles = [alert.title for alert in channel.sent]
    print(*titles, sep="\n")
    assert len(titles) < 10, titles
    for wanted in ("run-17: overfitting", "run-90: overfitting", "run-60: nan", "run-120 failed", "12 runs lost"):
        assert any(wanted in title for title in titles), (wanted, titles)


def advance(each: tuple[Feed, str, np.ndarray, np.ndarray, int], minute: int, now_ms: int) -> bool:
    """A minute of a run, ten steps in it; whether it has ended."""
    feed, kind, train, val, begun = each
    pace = 2 if kind == "is lost" else 10
    at = pace * (minute - begun)
    if kind == "is lost" and minute >= 152 * 6.5 + 8:
        return True  # the machine of all of them
    feed.now_ms = now_ms
    if at >= 400 or (kind == "fails" and at >= 200):
        failed = kind == "fails"
        feed.event("finish", status="failed" if failed else "finished", error="CUDA out of memory" if failed else None)
        return True
    feed.log("train/loss", range(at, at + pace), train[at : at + pace])
    if at % 10 == 0:
        feed.log("val/loss", [at], [val[at // 10]])
    return False
