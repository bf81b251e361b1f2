"""The run of a callback: one that the caller passed, or one that the callback starts and ends."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypedDict, Unpack

from monitor.run.options import Capture, Mode, Resume
from monitor.run.start import Run, ending, init
from monitor.settings import Settings


class RunOptions(TypedDict, total=False):
    """Options that every integration passes on to `monitor.init` for a run that it starts."""

    name: str | None
    tags: object
    group: str | None
    loss: object
    train: str | None
    val: str | None
    goal: str | None
    mode: Mode
    server: str | None
    run_id: str | None
    resume: Resume
    capture: Capture | None
    settings: Settings | None


class OwnedRun:
    """Holds the run of a callback.

    Args:
        run: a run that the caller starts and ends; None: start one when training begins.
        project: the project of a run started here.
        **options: as in `monitor.init`.

    Attributes:
        run: the run; None before it starts and after it ends.
        last: the run that ended last; None before that.
    """

    def __init__(self, run: Run | None = None, *, project: str = "default", **options: Unpack[RunOptions]) -> None:
        self.run = run
        self.last: Run | None = None
        self.owned = run is None
        self._project, self._options = project, options

    def start(
        self, config: Mapping[str, object] | None = None, *, project: str | None = None, name: str | None = None
    ) -> Run:
        """The run for a training that starts now: the caller's, or a new one.

        Args:
            config: hyperparameters that the framework knows; added to the configuration of the caller's run.
            project: overrides the project given to the constructor.
            name: the run's name, if the options have none.
        """
        training = _trainings.open[-1] if _trainings.open else None
        if self.owned and not (training is not None and self in training.begun):
            self.end("failed", "another training began before this one ended")
        run = self.begin(config, project=project, name=name)
        if training is not None and self not in training.begun:
            training.begun.append(self)
        return run

    def begin(
        self, config: Mapping[str, object] | None = None, *, project: str | None = None, name: str | None = None
    ) -> Run:
        """The run, started if necessary. The arguments are those of `start`."""
        if self.run is None:
            options = dict(self._options)
            if options.get("name") is None:
                options["name"] = name
            if self.last is not None and options.get("resume", "never") == "never":
                options.pop("run_id", None)  # that run is finished; the next one needs an id of its own
            self.run = init(project or self._project, config=config or {}, **options)  # type: ignore[arg-type]  # RunOptions
        elif config:
            self.run.update_config(config)
        return self.run

    def rejoin(self) -> Run | None:
        """The run. If it has ended, it is reopened for what comes later, such as a test, and keeps its final status."""
        if self.run is None and self.last is not None:
            self.last._rejoin()
            self.run = self.last
        return self.run

    @property
    def ended(self) -> bool:
        """True if `run` has ended and was reopened by `rejoin`."""
        return self.run is not None and self.run is self.last

    def end(self, status: str = "finished", error: str | None = None) -> None:
        """End the run if it was started here."""
        if self.run is not None and self.owned:
            self.run.finish(status, error)
            self.last, self.run = self.run, None

    def __getstate__(self) -> dict[str, object]:
        """The state without the run: frameworks copy and pickle callbacks, and each copy starts a run of its own."""
        return {**self.__dict__, "run": None, "last": None, "owned": True}


class HoldsRun:
    """Base of the callbacks, which hold their run in `_held`."""

    _held: OwnedRun

    @property
    def run(self) -> Run | None:
        """The run; None outside a training, unless the caller passed one."""
        return self._held.run


class Checkpoints:
    """Records the checkpoints that a framework writes and deletes."""

    def __init__(self) -> None:
        self._written: dict[str, int | None] = {}

    def saved(self, run: Run | None, step: int, *paths: str | os.PathLike[str] | None) -> None:
        """Record what was written or deleted since the last call.

        Args:
            run: the run; None: do nothing.
            step: the step of what was written.
            *paths: all checkpoints that the framework knows of; those recorded before and unchanged are skipped.
        """
        if run is None:
            return
        for path in [os.fspath(path) for path in paths if path]:
            written = _written_ns(path)
            if written is not None and self._written.get(path) != written:
                self._written[path] = written
                run.checkpoint(step, path)
        for path in [path for path in self._written if _written_ns(path) is None]:
            del self._written[path]
            run.checkpoint_deleted(path)

    def clear(self) -> None:
        """Forget all checkpoints, for a new run."""
        self._written.clear()


def _written_ns(path: str) -> int | None:
    """Modification time in ns; None if the path does not exist. Remote paths (`s3://...`) count as existing."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0 if "://" in path else None


def next_step(run: Run) -> int:
    """The step after the last one of a run that is resumed or has logged already; 0 for a new run."""
    journal = run._writer.journal if run._writer is not None else None
    if journal is None:
        return 0
    logged = journal.last is not None or bool(journal.seen)
    return max(0, int(journal.step) + logged)


def patience_s(run: Run | None) -> float:
    """Seconds to wait for the diagnosis of an evaluation; short until the receiver has replied once."""
    return 0.2 if getattr(run, "_reply", None) is None else 1.0


class Stop(int):
    """A True that we put into a framework's flag, distinguishable from one set by somebody else."""


STOP: Final = Stop(1)


def obey(owner: object, name: str, stop: bool) -> None:
    """Set or clear a framework's flag that ends training.

    Args:
        stop: True sets the flag. False clears it only if we set it.
    """
    flag = getattr(owner, name)
    if stop and not flag:
        setattr(owner, name, STOP)
    elif not stop and isinstance(flag, Stop):
        setattr(owner, name, False)


class _Training:
    """A call of a framework's training function in progress.

    Attributes:
        subject: the object whose method it is; None for a function.
        begun: holders of the runs that started in it.
    """

    def __init__(self, subject: object) -> None:
        self.subject = subject
        self.begun: list[OwnedRun] = []


class _Trainings(threading.local):
    """The trainings in progress in this thread, innermost last."""

    def __init__(self) -> None:
        self.open: list[_Training] = []


_trainings = _Trainings()


def wrap(owner: type | ModuleType, name: str, around: Callable[..., Any]) -> None:
    """Replace a framework's function.

    Args:
        name: the function's name; nothing happens if it does not exist or is already replaced.
        around: called instead, with the original function and then its arguments.
    """
    original = getattr(owner, name, None)
    if original is None or getattr(original, "_watched_by_monitor", False):
        return

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    wrapped._watched_by_monitor = True  # type: ignore[attr-defined]  # a mark of ours on a function of ours
    setattr(owner, name, wrapped)


def watch(owner: type | ModuleType, name: str, *, before: Callable[..., None] | None = None) -> None:
    """End the runs that start in a framework's training function when it returns or raises.

    Most frameworks do not tell callbacks about exceptions and interrupts, so the function is replaced by a wrapper.
    A method that calls another method of the same object, as fastai's `fine_tune` calls `fit`, counts as one training.

    Args:
        name: the function's name, as in `wrap`.
        before: called first, with the function's arguments.
    """

    def watched(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        subject = args[0] if args and isinstance(owner, type) else None
        if subject is not None and any(training.subject is subject for training in _trainings.open):
            return original(*args, **kwargs)
        training = _Training(subject)
        _trainings.open.append(training)
        how: tuple[str, str | None] = ("finished", None)
        try:
            if before is not None:
                before(*args, **kwargs)
            return original(*args, **kwargs)
        except BaseException as error:
            how = ending(error)
            if str(how[1]).endswith("\nKeyboardInterrupt"):  # CatBoost turns an interrupt into an error of its own
                how = ending(KeyboardInterrupt())
            raise
        finally:
            _trainings.open.pop()
            for held in training.begun:
                held.end(*how)

    wrap(owner, name, watched)
