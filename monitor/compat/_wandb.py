"""The objects behind `monitor.compat.wandb`: run, configuration and summary with W&B's API."""

# ruff: noqa: ARG002  # W&B defines the arguments

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, Final

from monitor import limits
from monitor.compat._media import Once, logged, media_in
from monitor.errors import SettingsError
from monitor.run.options import config_of
from monitor.run.start import Run as OurRun
from monitor.run.start import ending

_once: Final = Once("wandb")


class AlertLevel(StrEnum):
    """The urgency of an alert."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Settings:
    """W&B's settings. Those that `init` has arguments for are used, the others have no effect.

    Attributes:
        others: names of the settings without effect.
    """

    _KNOWN: Final = (
        "project", "entity", "run_name", "run_group", "run_notes", "run_job_type", "run_tags", "run_id", "mode",
        "resume", "reinit",
    )  # fmt: skip

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)
        self.others = tuple(name for name in given if name not in self._KNOWN)

    @classmethod
    def of(cls, given: object) -> Settings:
        """Settings from an object of this class or of W&B's own, a mapping, or None."""
        if isinstance(given, cls):
            return given
        if given is None:
            return cls()
        set_by_user = getattr(given, "model_fields_set", None)  # W&B's own class has a default for everything
        found = {name: getattr(given, name) for name in set_by_user} if set_by_user is not None else given
        if not isinstance(found, Mapping):
            raise SettingsError("settings", f"is {limits.shown(given)}", "pass wandb.Settings(...) or a dictionary")
        return cls(**{str(name): value for name, value in found.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


_IGNORED: Final = frozenset({
    "save", "log_artifact", "log_code", "log_model", "mark_preempting", "use_artifact", "link_artifact",
})  # fmt: skip
"""Methods of W&B's run that are accepted, without effect."""
_SEVERITIES: Final = {"INFO": "info", "WARN": "warning", "WARNING": "warning", "ERROR": "critical"}


class _ByAttribute(dict[str, Any]):
    """A dictionary that also reads and writes attributes; writing goes through `update`."""

    _what = ""

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __setattr__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"the {self._what} has no {name!r}")


class Config(_ByAttribute):
    """A configuration with access by item and by attribute. Changes are passed on to the run."""

    _what = "configuration"

    def __init__(
        self, given: object = None, *, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> None:
        only, without = None if include is None else set(include), set(exclude or ())
        found = {str(k): v for k, v in config_of(given).items()}
        super().__init__({k: v for k, v in found.items() if (only is None or k in only) and k not in without})
        self.__dict__["_run"] = None

    def update(self, given: object = None, allow_val_change: bool | None = None, **more: Any) -> None:  # type: ignore[override]  # W&B's
        """Add and change values.

        Raises:
            SettingsError: a value would change and `allow_val_change` is not set.
        """
        found = {**{str(k): v for k, v in config_of(given).items()}, **more}
        for key, value in found.items():
            if key in self and not allow_val_change and not _same(self[key], value):
                problem = f"{key} is {limits.shown(self[key])} and would become {limits.shown(value)}"
                raise SettingsError("config", problem, "pass allow_val_change=True to config.update()")
        super().update(found)
        if self._run is not None and found:
            self._run.update_config(found)

    def setdefaults(self, given: object) -> None:
        """Add values for missing keys."""
        self.update({k: v for k, v in config_of(given).items() if k not in self})

    def as_dict(self) -> dict[str, Any]:
        """A copy."""
        return dict(self)


class Summary(_ByAttribute):
    """The last value of each metric, or what the script sets, which is also stored as a tag of the run."""

    _what = "summary"

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_run"] = None
        self.__dict__["_own"] = set[str]()
        self.__dict__["_rules"] = dict[str, tuple[str, ...]]()

    def update(self, given: Mapping[str, Any] | None = None, **more: Any) -> None:  # type: ignore[override]  # W&B's
        """Set values."""
        found = {**(given or {}), **more}
        super().update(found)
        self._own.update(found)
        if self._run is not None and found:
            self._run.update_tags({f"summary/{key}": limits.text(value) for key, value in found.items()})

    def _logged(self, row: Mapping[str, Any]) -> None:
        for key, value in row.items():
            if key in self._own:
                continue
            rules = self._rules.get(key)
            if rules is None:
                dict.__setitem__(self, key, value)
            elif "none" not in rules:
                held = self.setdefault(key, {})
                held.update({rule: _aggregated(rule, held.get(rule), value) for rule in rules})


class Run:
    """A run with W&B's API.

    Attributes:
        config, summary: as in W&B.
        step: the step of the next `log` call without one.
        monitor_run: our run.
    """

    def __init__(
        self,
        monitor_run: OurRun,
        config: Config,
        given_id: str | None,
        tags: tuple[str, ...],
        group: str | None,
        job_type: str | None,
        notes: str | None,
    ) -> None:
        self.monitor_run, self.config, self.summary = monitor_run, config, Summary()
        self.config.__dict__["_run"] = self.summary.__dict__["_run"] = monitor_run
        self.id, self.tags, self.group, self.job_type, self.notes = (
            given_id or monitor_run.id, tags, group, job_type, notes,
        )  # fmt: skip
        self.entity = ""
        self.step = _next_step(monitor_run)
        self._done = False

    @property
    def name(self) -> str:
        """The run's name."""
        return self.monitor_run.name

    @property
    def project(self) -> str:
        """The run's project."""
        return self.monitor_run.project

    @property
    def url(self) -> str | None:
        """The run's page, once the address is known."""
        return self.monitor_run.url

    @property
    def dir(self) -> str:
        """A folder for the script's own files."""
        import tempfile

        return tempfile.gettempdir()

    def log(
        self, data: Mapping[str, object], step: int | None = None, commit: bool | None = None, sync: bool | None = None
    ) -> None:
        """Log metrics; they are durable when this returns.

        Args:
            data: metric names to numbers; mappings may be nested.
            step: the step; a step before the newest is refused with a warning, as in W&B. None: the run's own counter.
            commit: whether to advance the counter; by default only if no step is given.
            sync: accepted, without effect.

        Raises:
            TypeError: `data` is not a mapping.
        """
        if not isinstance(data, Mapping):
            raise TypeError("wandb.log must be passed a dictionary")
        if step is not None:
            if step < self.step:
                _once.say(
                    "log(step=...)",
                    f"is left out: step {step} is before the newest, {self.step}; so are others like it",
                )
                return
            self.step = step
        row = dict(_numbers(data))
        epoch = row.get("epoch")
        if row:
            points = {key: value for key, value in row.items() if key != "epoch"}
            self.monitor_run.log(points, step=self.step, epoch=epoch)  # type: ignore[arg-type]  # `log` says what is wrong
            self.summary._logged(row)
        for key, media in logged(data):
            if not media.keep(self.monitor_run, key, self.step):
                _once.say(
                    f"{media.kind} {key}", "is not kept: a run holds numbers, texts, images, tables and histograms"
                )
        if commit if commit is not None else step is None:
            self.step += 1

    def alert(
        self, title: str, text: str = "", level: str | AlertLevel | None = None, wait_duration: object = None
    ) -> None:
        """Send an alert about the run. Alerts have a cool-down of their own, so `wait_duration` has no effect."""
        severity = _SEVERITIES.get(str(level or "INFO").upper(), "info")
        self.monitor_run.alert(title, text, severity)  # type: ignore[arg-type]  # one of the three

    def watch(self, *_: object, **__: object) -> None:
        """Warn once that gradients are not stored."""
        _once.say("watch", "keeps no gradients; log grad_norm, or use monitor.integrations.pytorch.TorchLoop")

    def unwatch(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def define_metric(self, name: str, *args: object, **options: object) -> None:
        """Set how the summary aggregates a metric. Custom step metrics are not supported."""
        if args or options.get("step_metric"):
            _once.say("define_metric(step_metric=...)", "has no effect: a point's step is that of log()")
        rule = options.get("summary")
        rules = tuple(rule.split(",")) if isinstance(rule, str) else ()
        known = tuple(rule for rule in rules if rule in ("min", "max", "first", "last", "none"))
        if len(known) < len(rules) or ("*" in name and rules):
            _once.say(
                f"define_metric({name!r}, summary={rule!r})", "is not followed; there are min, max, first and last"
            )
        elif known:
            self.summary._rules[name] = known

    def should_stop(self, wait_s: float = 0.0) -> bool:
        """True if the loop should stop; see `monitor.run.Run.should_stop`."""
        return self.monitor_run.should_stop(wait_s)

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run; an exit code other than 0 marks it as failed."""
        if not self._done:
            self._leave("failed" if exit_code else "finished", f"exit code {exit_code}" if exit_code else None)

    def _leave(self, status: str, error: str | None) -> None:
        from monitor.compat import wandb

        self._done = True
        self.monitor_run.finish(status, error)
        if wandb.run is self:
            wandb.run = None

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self._leave(*ending(error))

    def __getattr__(self, name: str) -> Any:
        if name in _IGNORED:
            _once.say(name, "does nothing here")
            return lambda *_, **__: None
        raise AttributeError(f"a run of monitor.compat.wandb has no {name!r}; docs/integrations.md lists what it has")


def _numbers(data: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The numbers of a row; nested names are joined by a dot, as in W&B's charts."""
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}.")
        elif media_in(value):
            continue
        elif isinstance(value, str):
            _once.say(f"text {name}", "is not kept as a series; put it in the configuration or the summary")
        else:
            yield name, value


def _aggregated(rule: str, before: Any, now: Any) -> Any:
    """The summary's value of a metric under one rule, updated by a new value."""
    if before is None or rule == "last":
        return now
    if rule == "first":
        return before
    return min(before, now) if rule == "min" else max(before, now)


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))
    except Exception:  # arrays of several numbers, or any other object
        return limits.document({"": one}, limits.silent) == limits.document({"": other}, limits.silent)


def _next_step(run: OurRun) -> int:
    """The step after the last one of a resumed run."""
    writer = run._writer
    return 0 if writer is None else max(0, int(writer.journal.step))
