"""A run that a callback was given, or that it starts and ends by itself."""

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
    """What every integration hands on to `monitor.init` for a run that it starts; each as there."""

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
    """Holds a run for a callback.

    Args:
        run: a run that the caller starts and ends; None: one is started when training begins.
        project: the project of a run that is started here.
        **options: as in `monitor.init`.

    Attributes:
        run: the run; None before it begins and after it ends.
        last: the run that ended last, None before.
    """

    def __init__(self, run: Run | None = None, *, project: str = "default", **options: Unpack[RunOptions]) -> None:
        self.run = run
        self.last: Run | None = None
        self.owned = run is None
        self._project, self._options = project, options

    def start(
        self, config: Mapping[str, object] | None = None, *, project: str | None = None, name: str | None = None
    ) -> Run:
        """The run of a training that begins now: a new one, unless the caller gave one.

        Args:
            config: hyperparameters that the framework knows; added to those of a run that was given.
            project: used where none was given here.
            name: the same.
        """
        training = _trainings.open[-1] if _trainings.open else None
        if self.owned and not (training is not None and self in training.begun):
            self.end("failed", "another training began before this one had come to its end")
        run = self.begin(config, project=project, name=name)
        if training is not None and self not in training.begun:
            training.begun.append(self)
        return run

    def begin(
        self, config: Mapping[str, object] | None = None, *, project: str | None = None, name: str | None = None
    ) -> Run:
        """The run, started if need be; the arguments are those of `start`."""
        if self.run is None:
            options = dict(self._options)
            if options.get("name") is None:
                options["name"] = name
            if self.last is not None and options.get("resume", "never") == "never":
                options.pop("run_id", None)  # that one has been trained
            self.run = init(project or self._project, config=config or {}, **options)  # type: ignore[arg-type]  # RunOptions
        elif config:
            self.run.update_config(config)
        return self.run

    def rejoin(self) -> Run | None:
        """The run; where it has ended, for what comes after its end, such as a test: it stays ended as it was."""
        if self.run is None and self.last is not None:
            self.last._rejoin()
            self.run = self.last
        return self.run

    @property
    def ended(self) -> bool:
        """True where `run` is one that has ended and that was joined again."""
        return self.run is not None and self.run is self.last

    def end(self, status: str = "finished", error: str | None = None) -> None:
        """End the run, if it was started here."""
        if self.run is not None and self.owned:
            self.run.finish(status, error)
            self.last, self.run = self.run, None

    def __getstate__(self) -> dict[str, object]:
        """Without a run: frameworks copy and pickle their callbacks, and a copy starts a run of its own."""
        return {**self.__dict__, "run": None, "last": None, "owned": True}


class Checkpoints:
    """Tells a run of the checkpoints that a framework writes, and of those that it deletes again."""

    def __init__(self) -> None:
        self._written: dict[str, int | None] = {}

    def saved(self, run: Run | None, step: int, *paths: str | os.PathLike[str] | None) -> None:
        """Note what was written since the last call, and what of it is gone by now.

        Args:
            run: the run; None: nothing is noted.
            step: the step of what was written.
            *paths: all checkpoints that the framework names; those that were noted before, and are as they were, stay.
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
        """Forget all: another run begins."""
        self._written.clear()


def _written_ns(path: str) -> int | None:
    """When a file or folder was written; None where there is none. What is elsewhere (`s3://...`) is taken as there."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0 if "://" in path else None


def next_step(run: Run) -> int:
    """The step after the last one of a run that is resumed, or that has logged already; 0 for a new run."""
    journal = run._writer.journal if run._writer is not None else None
    if journal is None:
        return 0
    logged = journal.last is not None or bool(journal.seen)
    return max(0, int(journal.step) + logged)


def patience_s(run: Run | None) -> float:
    """Seconds to wait for the judgement of an evaluation: few until the receiver has answered once."""
    return 0.2 if getattr(run, "_reply", None) is None else 1.0


class Stop(int):
    """A True of ours in a framework's flag, so that it can be told from one that somebody else has put there."""


STOP: Final = Stop(1)


def obey(owner: object, name: str, stop: bool) -> None:
    """Set a framework's flag that ends the training, or take it back.

    Args:
        owner: what holds the flag.
        name: the flag's name.
        stop: whether the run is told to stop; where not, a stop of ours is taken back and anybody else's stays.
    """
    flag = getattr(owner, name)
    if stop and not flag:
        setattr(owner, name, STOP)
    elif not stop and isinstance(flag, Stop):
        setattr(owner, name, False)


class _Training:
    """A call of a framework's training function that is under way.

    Attributes:
        subject: the object whose method it is; None for a function.
        begun: what holds the runs that began in it.
    """

    def __init__(self, subject: object) -> None:
        self.subject = subject
        self.begun: list[OwnedRun] = []


class _Trainings(threading.local):
    """The trainings that are under way in this thread, the innermost last."""

    def __init__(self) -> None:
        self.open: list[_Training] = []


_trainings = _Trainings()


def watch(owner: type | ModuleType, name: str, *, before: Callable[..., None] | None = None) -> None:
    """Let runs that begin in a framework's training function end with it, whichever way that ends.

    Most frameworks tell callbacks of no exception and no interrupt. The function is replaced by one that calls it. A
    method that calls another one of the same object, such as fastai's `fine_tune` its `fit`, is one training with it.

    Args:
        owner: the class or module that holds the function.
        name: the function's name; what is watched already, or is not there, stays as it is.
        before: called with the function's arguments first.
    """
    original = getattr(owner, name, None)
    if original is None or getattr(original, "_watched_by_monitor", False):
        return

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
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
            if str(how[1]).endswith("\nKeyboardInterrupt"):  # CatBoost makes an error of its own of one
                how = ending(KeyboardInterrupt())
            raise
        finally:
            _trainings.open.pop()
            for held in training.begun:
                held.end(*how)

    watched._watched_by_monitor = True  # type: ignore[attr-defined]  # a mark of ours on a function of ours
    setattr(owner, name, watched)
