"""Hugging Face `Trainer`: a callback, and `report_to="monitor"`.

Use `Trainer(callbacks=[MonitorCallback(project="mine")])`, or call `register()` once and set
`TrainingArguments(report_to="monitor")`.
"""

# ruff: noqa: ARG002  # the framework defines the arguments of its hooks

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import torch
from accelerate.utils import broadcast
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import integration_utils

from monitor.integrations import _losses
from monitor.integrations._owned import Checkpoints, HoldsRun, OwnedRun, RunOptions, next_step, obey, patience_s, watch
from monitor.losses import Custom, LossSpec, parse
from monitor.run.options import HasDict
from monitor.run.start import Run

_NAMES = {"loss": "train/loss", "eval_loss": "val/loss", "grad_norm": "grad_norm", "learning_rate": "lr"}
_TOTALS = frozenset({"total_flos", "train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second"})
_PROJECT = "huggingface"
_EVERY = 10
"""Steps between checks for a stop in distributed training: each check synchronises all ranks."""


class MonitorCallback(HoldsRun, TrainerCallback):  # type: ignore[misc]  # transformers is seen as untyped
    """Logs what the trainer reports, records its checkpoints, and stops it on all ranks when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each training.
        project: the project of a run started here; None: from the training arguments.
        val_name: of several evaluation sets, the one to diagnose; None: the first. All are stored.
        **options: as in `monitor.init`, for a run started here; the name defaults to `run_name` of the training
            arguments.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str | None = None,
        val_name: str | None = None,
        **options: Unpack[RunOptions],
    ) -> None:
        self._held = OwnedRun(run, project=_PROJECT, **options)
        self._project, self._val_name = project, val_name
        self._val: str | None = val_name
        self._training = False
        self._first = 0
        self._checkpoints = Checkpoints()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the run, on the process that logs."""
        self._training, self._val = True, self._val_name
        self._checkpoints.clear()
        if not state.is_world_process_zero:
            return
        config: dict[str, object] = dict(args.to_sanitized_dict())
        model_config = getattr(kwargs.get("model"), "config", None)
        if isinstance(model_config, HasDict):
            config["model"] = model_config.to_dict()
        name, project = getattr(args, "run_name", None), self._project or getattr(args, "project", None)
        if name == args.output_dir:  # the default of older versions
            name = None
        run, model = self._held.start(config, project=project, name=name), kwargs.get("model")
        if state.global_step == 0:  # a trainer that resumes from a checkpoint keeps its own count
            self._first = max(0, next_step(run) - 1)
        _losses.tell(run, lambda: _loss(args, model))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **_: object,
    ) -> None:
        """Log what the trainer reports, including evaluations after the training."""
        run = self._held.rejoin() if state.is_world_process_zero else self.run
        if run is None or not logs:
            return
        _tell_game(run, args, logs)
        row = {self._key(k, logs): v for k, v in logs.items() if isinstance(v, int | float) and k not in _TOTALS}
        epoch = row.pop("epoch", None)
        if row:
            run.log(row, step=self._first + state.global_step, epoch=None if epoch is None else float(epoch))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Stop if the run should stop."""
        if args.world_size == 1 or state.global_step % _EVERY == 0:
            self._obey(args, control, 0.0)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Stop if the run should stop, in case an epoch has few steps. A stop that is already set stays."""
        if not control.should_training_stop:
            self._obey(args, control, 0.0)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Stop if the run should stop, now that an evaluation was logged."""
        self._obey(args, control, patience_s(self.run))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Record the checkpoint, and those that `save_total_limit` deleted."""
        path = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        self._checkpoints.saved(self.run, self._first + state.global_step, path)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """End the run if it was started here."""
        self._training = False
        # The trainer deletes old checkpoints at the very end.
        self._checkpoints.saved(self.run, self._first + state.global_step)
        self._held.end()

    def _obey(self, args: TrainingArguments, control: TrainerControl, wait_s: float) -> None:
        """Set the trainer's flag. Only called in hooks that every rank reaches, and only during training."""
        if not self._training:
            return
        stop = self.run is not None and self.run.should_stop(wait_s)
        if args.world_size > 1:  # a rank that stops alone leaves the others waiting for its gradients
            stop = bool(broadcast(torch.tensor(float(stop), device=args.device)).item())
        obey(control, "should_training_stop", stop)

    def _key(self, key: str, logs: Mapping[str, object]) -> str:
        """The series name of a value. With several evaluation sets the trainer's keys are `eval_<set>_...`."""
        if key in _NAMES:
            return _NAMES[key]
        timed = next((k for k in logs if k.startswith("eval_") and k.endswith("_runtime")), "")
        name = timed.removeprefix("eval_").removesuffix("_runtime")
        if timed in ("", "eval_runtime") or not key.startswith(f"eval_{name}_"):
            return key
        self._val = self._val or name
        metric = key.removeprefix(f"eval_{name}_")
        return "val/loss" if metric == "loss" and name == self._val else f"val/{name}/{metric}"


def _loss(args: TrainingArguments, model: object) -> LossSpec | None:
    """The loss that a trainer with these arguments minimises; None for unknown trainers of TRL."""
    of_trl = [kind.__name__ for kind in type(args).__mro__ if kind.__module__.startswith("trl.")]
    if of_trl[:1] == ["RewardConfig"]:
        return parse("binary_cross_entropy")
    if of_trl and of_trl[0] != "SFTConfig":
        return None
    return _losses.of_transformer(model, float(args.label_smoothing_factor))


def _tell_game(run: Run, args: TrainingArguments, logs: Mapping[str, object]) -> None:
    """If a trainer logs a reward, tell the run that a lower loss does not mean a better model."""
    if not run.loss_known and any(key.rpartition("/")[2].endswith("reward") for key in logs):
        run.update_loss(Custom(type(args).__name__.removesuffix("Config"), game=True))


def register() -> None:
    """Enable `TrainingArguments(report_to="monitor")` in this process."""
    integration_utils.INTEGRATION_TO_CALLBACK["monitor"] = MonitorCallback


watch(Trainer, "train")
