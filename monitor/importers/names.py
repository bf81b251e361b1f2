"""Column names for steps, epochs and times, as frameworks and people write them."""

from __future__ import annotations

import re
from typing import Final

from monitor.languages import english

STEPS: Final = (
    "global_step", "globalstep", "current_steps", "step", "_step", "steps", "global_step_max_steps", "n_step",
    "total_timesteps", "timesteps_total", "num_timesteps", "timesteps", "timestep", "total_env_steps",
    "num_env_steps_sampled", "num_env_steps_sampled_lifetime", "env_steps", "env_step", "totalenvinteracts", "frames",
    "iteration", "iter", "iters", "iterations", "training_iteration", "total_iterations", "n_iter", "numiters", "itr",
    "it", "num_steps", "num_iterations",
    "step_number", "step_num", "iteration_number", "global_iter", "number_of_trees",
    "num_updates", "n_updates", "updates", "update", "boosting_round", "round",
    "tokens_seen", "tokens", "num_tokens", "n_tokens", "total_tokens", "consumed_tokens", "num_input_tokens_seen",
    "trained_tokens", "consumed_samples", "samples_seen", "num_samples", "samples", "images_seen",
    "batch", "batch_idx", "batch_index", "batch_id", "minibatch", "i_batch", "batch_num", "step_in_epoch",
    "episode", "episodes", "generation",
)  # fmt: skip
"""Names of step columns, in lower case with `_` between words; the first one present is used."""
WITHIN: Final = frozenset({
    "batch", "batch_idx", "batch_index", "batch_id", "minibatch", "i_batch", "batch_num", "step_in_epoch",
})  # fmt: skip
"""Of these, the ones that restart in each epoch."""
EPOCHS: Final = (
    "epoch",
    "epochs",
    "current_epoch",
    "epoch_num",
    "epoch_idx",
    "epoch_number",
    "epoch_id",
    "ep",
    "n_epoch",
)
TIMES: Final = (
    "timestamp", "_timestamp", "wall_time", "walltime", "time_ms", "time", "date", "datetime", "created_at",
    "time_stamp", "timestamps",
)  # fmt: skip
RUNTIMES: Final = frozenset({"_runtime", "runtime", "relative_time_process"})
"""Seconds since the start: neither a series nor a point in time."""
_SEPARATORS: Final = re.compile(r"[\s./\-#:()]+")


def plain(name: str) -> str:
    """A name in lower case with `_` between its words.

    >>> plain("time/total_timesteps"), plain(" Wall time "), plain("Iter#"), plain("globalStep"), plain("_step")
    ('time_total_timesteps', 'wall_time', 'iter', 'globalstep', '_step')
    """
    return _SEPARATORS.sub("_", english(name.strip()).lower()).strip("_" if not name.startswith("_") else "")


def place(name: str, known: tuple[str, ...]) -> int | None:
    """The index of a name in a list of known ones, as a whole or after its last `/`; None if unknown.

    >>> place("trainer/global_step", STEPS), place("Step", STEPS), place("loss", STEPS)
    (0, 3, None)
    """
    for spelling in (name, name.rsplit("/", 1)[-1]):
        found = plain(spelling)
        if found in known:
            return known.index(found)
    return None


def counts(name: str) -> bool:
    """True if a column of this name counts steps or epochs."""
    return place(name, STEPS) is not None or place(name, EPOCHS) is not None
