"""Hugging Face `Trainer`: a callback, and an entry for `report_to="monitor"`.

`Trainer(callbacks=[MonitorCallback(project="mine")])`, or `register()` once and
`TrainingArguments(report_to="monitor")`.
"""

# ruff: noqa: ARG002  # the framework gives the arguments of its hooks

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import integration_utils

from monitor.client.integrations import _losses
from monitor.client.integrations._owned import OwnedRun
from monitor.client.options import HasDict, Mode
from monitor.client.run import Run
from monitor.settings import Settings

_NAMES = {"loss": "train/loss", "eval_loss": "val/loss", "grad_norm": "grad_norm", "learning_rate": "lr"}
_TOTALS = frozenset({"total_flos", "train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second"})


class MonitorCallback(TrainerCallback):  # type: ignore[misc]  # transformers is seen as untyped
    """Logs what the trainer reports, notes its checkpoints, and stops it when the run says so.

    Args:
        run: a run that the caller ends; None: one is started for each training.
        project: the project of a run that is started here, like the rest as in `monitor.init`.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "huggingface",
        name: str | None = None,
        mode: Mode = "auto",
        settings: Settings | None = None,
    ) -> None:
        self._held = OwnedRun(run, project=project, name=name, mode=mode, settings=settings)

    @property
    def run(self) -> Run | None:
        """The run, None outside a training."""
        return self._held.run

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the run, on the process that the trainer logs on."""
        if not state.is_world_process_zero:
            return
        config: dict[str, object] = dict(args.to_sanitized_dict())
        model_config = getattr(kwargs.get("model"), "config", None)
        if isinstance(model_config, HasDict):
            config["model"] = model_config.to_dict()
        run, model = self._held.begin(config), kwargs.get("model")
        _losses.tell(run, lambda: _losses.of_transformer(model, float(args.label_smoothing_factor)))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **_: object,
    ) -> None:
        """Log what the trainer reports."""
        if self.run is None or not logs:
            return
        row = {_NAMES.get(k, k): v for k, v in logs.items() if isinstance(v, int | float) and k not in _TOTALS}
        epoch = row.pop("epoch", None)
        if row:
            self.run.log(row, step=state.global_step, epoch=None if epoch is None else float(epoch))
        self._obey(control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Stop where the run says so."""
        self._obey(control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Stop where the run says so, after an evaluation that may have told."""
        if self.run is not None and self.run.should_stop(wait_s=1.0):
            control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Note the checkpoint."""
        if self.run is not None:
            self.run.checkpoint(state.global_step, Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """End a run that was started here."""
        self._held.end()

    def _obey(self, control: TrainerControl) -> None:
        if self.run is not None and self.run.should_stop():
            control.should_training_stop = True


def register() -> None:
    """Make `TrainingArguments(report_to="monitor")` known to this process."""
    integration_utils.INTEGRATION_TO_CALLBACK["monitor"] = MonitorCallback
