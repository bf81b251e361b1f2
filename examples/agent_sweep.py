"""An agent's sweep: six trainings, two of them hopeless; it stops these and names the best checkpoint.

It works through the command line alone, as an agent with a shell would: it starts the trainings, waits for an event,
explains the run, and acts. The trainings are real: scikit-learn's digits, a small network of numpy, six configurations.
The two that learn from a few examples only soon do nothing but overfit.

    python examples/agent_sweep.py            # the sweep, in the store of this machine
    python examples/agent_sweep.py train …    # one training, which the sweep starts
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = "agent-sweep"
STEPS = 40_000
"""Planned for each training: far more than any of them needs, so that waiting for all of them would be a waste."""
SWEEP: dict[str, dict[str, Any]] = {
    "lr-0.05": {"lr": 0.05},
    "lr-0.1": {"lr": 0.1},
    "lr-0.2": {"lr": 0.2},
    "wide": {"lr": 0.1, "width": 128},
    "tiny-data": {"lr": 0.3, "width": 256, "examples": 40},
    "tiny-wide": {"lr": 0.3, "width": 128, "examples": 20},
}
ENOUGH = 12_000
"""Steps after which a training ends by itself, if it is good enough."""
NEAR = 1.2
"""Good enough: a validation loss of at most this many times its best. Otherwise it continues until it is stopped."""


def main() -> int:
    """Run the sweep, or one of its trainings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", default="sweep", choices=["sweep", "train"])
    parser.add_argument("--name")
    parser.add_argument("--config", type=json.loads, default={})
    parser.add_argument("--folder", type=Path, default=Path("sweep"))
    parser.add_argument("--timeout", type=float, default=240.0, help="seconds for the whole sweep")
    given = parser.parse_args()
    if given.what == "train":
        train(given.name, given.config, given.folder)
        return 0
    return sweep(given.folder, given.timeout)


def train(name: str, config: dict[str, Any], folder: Path) -> None:
    """One training: a network of two layers on scikit-learn's digits, by plain gradient descent."""
    from sklearn.datasets import load_digits

    import monitor

    x, y = load_digits(return_X_y=True)
    x, rng = x / 16, np.random.default_rng(0)
    order = rng.permutation(len(x))
    kept, held = order[: config.get("examples", 1200)], order[1200:]
    width = config.get("width", 32)
    weights = [rng.normal(0, 0.1, (64, width)), rng.normal(0, 0.1, (width, 10))]
    best = np.inf
    run = monitor.init(
        PROJECT, name=name, config={**config, "max_steps": STEPS}, group="digits", loss="cross_entropy(classes=10)",
        capture=False,
    )  # fmt: skip
    with run, np.errstate(all="ignore"):
        for step in range(STEPS):
            batch = rng.choice(kept, 32)
            loss, gradients = _loss(weights, x[batch], y[batch])
            weights = [w - config["lr"] * gradient for w, gradient in zip(weights, gradients, strict=True)]
            run.log({"train/loss": loss}, step=step)
            if step % 25 == 0:
                val, _ = _loss(weights, x[held], y[held])
                run.log({"val/loss": val}, step=step)
                if val < best:
                    best = val
                    np.savez(folder / f"{name}-best.npz", *weights)
                    run.checkpoint(step, folder / f"{name}-best.npz")
                if _asked(run) or (step >= ENOUGH and val <= NEAR * best):
                    break


def _asked(run: Any) -> bool:
    """The agent alone stops a training here: `should_stop()` in the mode `alert` is True for its request only."""
    return bool(run.should_stop(wait_s=2.0))


def _loss(weights: list[Any], x: Any, y: Any) -> tuple[float, list[Any]]:
    """Cross-entropy of a network with one hidden layer, and its gradients."""
    hidden = np.maximum(x @ weights[0], 0)
    scores = hidden @ weights[1]
    scores = scores - scores.max(1, keepdims=True)
    odds = np.exp(scores)
    odds /= odds.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = float(-np.log(odds[rows, y] + 1e-300).mean())
    error = odds.copy()
    error[rows, y] -= 1
    error /= len(y)
    back = (error @ weights[1].T) * (hidden > 0)
    return loss, [x.T @ back, hidden.T @ error]


def sweep(folder: Path, timeout_s: float) -> int:
    """Start the trainings, stop what is hopeless, and name the best checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    children, ids = {}, {}
    for name, config in SWEEP.items():
        ids[name] = uuid.uuid4().hex
        command = [sys.executable, __file__, "train", "--name", name, "--config", json.dumps(config)]
        environment = {**os.environ, "MONITOR_RUN_ID": ids[name], "MONITOR_STOP": "alert"}
        children[name] = subprocess.Popen([*command, "--folder", str(folder)], env=environment)
    open_ids = dict(ids)
    _say(f"started {', '.join(ids)}")
    stopped = []
    try:
        while open_ids:
            found = _wait(list(open_ids.values()), timeout_s)
            for outcome in found:
                name = outcome["name"]
                del open_ids[name]
                if outcome["what"] != "stop" or outcome["status"] != "running":
                    _say(f"{name} is {outcome['status']}: {outcome['verdict']}")
                    continue
                told = _monitor("explain", outcome["run_id"], "--json")
                _say(f"{name} is hopeless: {told['reason']}")
                by = ("--reason", told["reason"], "--who", "agent", "--json")
                status, _ = _call("runs", "stop", outcome["run_id"], *by)
                if status:
                    _say(f"{name} ended before it could be asked")
                    continue
                stopped.append(name)
        _finish(list(ids.values()), timeout_s)
    finally:
        for child in children.values():
            child.terminate()
            child.wait()
    return _report(ids, stopped)


def _wait(run_ids: list[str], timeout_s: float) -> list[dict[str, Any]]:
    """The next runs that are hopeless or have ended; one that has not started yet is waited for."""
    status, data = _call("wait", *run_ids, "--for", "stop", "--for", "finish", "--timeout", str(timeout_s), "--json")
    if data is None or data["timeout"]:
        raise SystemExit(f"nothing happened within {timeout_s:g} s (exit status {status})")
    return list(data["outcomes"])


def _finish(run_ids: list[str], timeout_s: float) -> None:
    _monitor("wait", *run_ids, "--all", "--timeout", str(timeout_s), "--json", ok=(0, 3, 4))


def _report(ids: dict[str, str], stopped: list[str]) -> int:
    """Name the best run, by the best validation loss, and its checkpoint."""
    told = {name: _monitor("explain", run_id, "--json") for name, run_id in ids.items()}
    losses = {name: each["best"]["loss"] for name, each in told.items() if each["best"]["loss"] is not None}
    best = min(losses, key=lambda name: losses[name])
    found = {
        "stopped": sorted(stopped),
        "stops": {name: told[name]["stops"][-1]["state"] for name in stopped},
        "best": best,
        "best_loss": losses[best],
        "best_step": told[best]["best"]["step"],
        "checkpoint": told[best]["best"]["checkpoint"],
        "saved_hours": sum(m["saved_hours"] for m in _monitor("ledger", "--project", PROJECT, "--json")["months"]),
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


def _monitor(*words: str, ok: tuple[int, ...] = (0,)) -> Any:
    """What a command of the monitor prints as JSON."""
    status, data = _call(*words)
    if status not in ok:
        raise SystemExit(f"monitor {' '.join(words)} ended with {status}")
    return data


def _call(*words: str) -> tuple[int, Any]:
    done = subprocess.run([sys.executable, "-m", "monitor", *words], stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def _say(text: str) -> None:
    sys.stderr.write(f"agent: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
