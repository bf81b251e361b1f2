"""PyTorch Ignite: a logger to attach to a trainer and its evaluators.

`MonitorLogger(project="mine").attach(trainer, optimizer=optimizer, evaluators={"val": evaluator})`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Unpack

import ignite.distributed as idist
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint

from monitor.integrations import _losses
from monitor.integrations._owned import Checkpoints, HoldsRun, OwnedRun, RunOptions, next_step, patience_s, watch
from monitor.roles import Role, role_of_set
from monitor.run.start import Run

_EVERY: Final = 10
"""Iterations between checks for a stop in distributed training: each check synchronises all ranks."""


class MonitorLogger(HoldsRun):
    """Logs a trainer's output and its evaluators' metrics, and terminates it on all ranks when the run should stop.

    Args:
        run: a run that the caller ends; None: start one each time the trainer runs.
        project: the project of a run started here.
        every: iterations between points of the training loss, >= 1.
        **options: as in `monitor.init`, for a run started here.
    """

    def __init__(
        self, run: Run | None = None, *, project: str = "ignite", every: int = 1, **options: Unpack[RunOptions]
    ) -> None:
        self._held = OwnedRun(run, project=project, **options)
        self._every = max(1, every)
        self._files = Checkpoints()
        self._first = 0

    def attach(
        self,
        trainer: Engine,
        *,
        evaluators: Mapping[str, Engine] | None = None,
        optimizer: Any = None,
        checkpoints: Sequence[Checkpoint] = (),
        output: Callable[[Any], Any] | None = None,
        val_name: str | None = None,
        config: Mapping[str, object] | None = None,
    ) -> MonitorLogger:
        """Attach to these engines.

        Args:
            trainer: the engine that trains.
            evaluators: engines that evaluate, by the names of their data sets, such as `{"train": ..., "val": ...}`.
            optimizer: its learning rates are logged.
            checkpoints: handlers whose files are recorded.
            output: converts the trainer's output to a loss, or to a mapping of names to numbers; None: use it as it is.
            val_name: the validation set; None: the first set that is not trained on. All are stored.

        Returns:
            The logger itself.
        """
        named = dict(evaluators or {})
        val = val_name or next((name for name in named if role_of_set(name) is not Role.TRAIN), None)
        trainer.add_event_handler(Events.STARTED, self._begin, optimizer, dict(config or {}))
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._iteration, optimizer, output)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._saved, checkpoints)
        for name, evaluator in named.items():
            evaluator.add_event_handler(Events.COMPLETED, self._evaluated, trainer, "val" if name == val else name)
        trainer.add_event_handler(Events.COMPLETED, self._end, checkpoints)
        return self

    def _begin(self, trainer: Engine, optimizer: Any, config: dict[str, object]) -> None:
        self._files.clear()
        if idist.get_rank() != 0:
            return
        about: dict[str, object] = {"max_epochs": trainer.state.max_epochs, "epoch_length": trainer.state.epoch_length}
        if optimizer is not None:
            about["optimizer"] = _losses.optimizer_config(optimizer)
        run = self._held.start({**about, **config})
        self._first = next_step(run) if trainer.state.iteration == 0 else 0  # a resumed trainer keeps its own count

    def _iteration(self, trainer: Engine, optimizer: Any, output: Callable[[Any], Any] | None) -> None:
        run, iteration = self.run, trainer.state.iteration
        if run is not None and iteration % self._every == 0:
            made = trainer.state.output if output is None else output(trainer.state.output)
            row = {f"train/{k}": v for k, v in made.items()} if isinstance(made, Mapping) else {"train/loss": made}
            run.log({**row, **_losses.learning_rates(optimizer)}, step=self._step(trainer))
        if idist.get_world_size() == 1 or iteration % _EVERY == 0:
            self._obey(trainer, 0.0)

    def _evaluated(self, evaluator: Engine, trainer: Engine, name: str) -> None:
        row: dict[str, object] = {}
        for metric, value in evaluator.state.metrics.items():
            # The loss over the whole training set is a different series than that of the batches.
            row[f"{name}/{metric}" if role_of_set(name) is not Role.TRAIN else f"evaluated/{name}/{metric}"] = value
        run = self.run or (self._held.rejoin() if idist.get_rank() == 0 else None)
        if run is not None:
            run.log(row, step=self._step(trainer), epoch=trainer.state.epoch)
        if run is None or not self._held.ended:
            self._obey(trainer, patience_s(run))

    def _obey(self, trainer: Engine, wait_s: float) -> None:
        stop = self.run is not None and self.run.should_stop(wait_s)
        if idist.get_world_size() > 1:  # a rank that stops alone leaves the others waiting for its gradients
            stop = bool(idist.broadcast(float(stop), src=0))
        if stop:
            trainer.terminate()

    def _saved(self, trainer: Engine, checkpoints: Sequence[Checkpoint]) -> None:
        for handler in checkpoints:
            folder = getattr(handler.save_handler, "dirname", None)
            if folder is not None:
                files = (Path(folder) / item.filename for item in handler._saved)
                self._files.saved(self.run, self._step(trainer), *files)

    def _end(self, trainer: Engine, checkpoints: Sequence[Checkpoint]) -> None:
        self._saved(trainer, checkpoints)
        self._held.end()

    def _step(self, trainer: Engine) -> int:
        return self._first + max(0, int(trainer.state.iteration) - 1)


watch(Engine, "run")
