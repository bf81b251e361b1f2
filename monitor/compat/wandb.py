"""W&B's common API for a run here: `import monitor.compat.wandb as wandb`.

Supports `init`, `log` with steps and commits, `config`, `summary`, `watch`, `alert`, `define_metric`, `finish`,
`Settings` and `run`. Images, tables and histograms are stored; what a run cannot store, such as audio, is dropped with
one warning. Sweeps are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Final

from monitor.compat._media import Media, Once
from monitor.compat._wandb import AlertLevel, Config, Run, Settings, Summary
from monitor.errors import SettingsError
from monitor.run.start import init as _init

run: Run | None = None
"""The run that `init` started last, if it is not finished."""
_once: Final = Once("wandb")
_MODES: Final = {"online": "auto", "offline": "offline", "disabled": "disabled", "shared": "auto", "dryrun": "offline"}
_REFUSED: Final = frozenset({
    "Api", "Sweep", "agent", "controller", "launch", "sweep", "sdk", "use_artifact", "restore",
})  # fmt: skip
"""Refused: a script that uses these cannot work without W&B."""
_IGNORED: Final = frozenset({
    "login", "save", "log_artifact", "log_code", "log_model", "unwatch", "mark_preempting", "setup", "teardown",
    "require", "termlog", "termwarn", "termerror",
})  # fmt: skip
"""Accepted, without effect."""
_MEDIA: Final = frozenset({
    "Artifact", "Audio", "Graph", "Histogram", "Html", "Image", "JoinedTable", "Molecule", "Object3D", "Plotly",
    "Table", "Video", "plot",
})  # fmt: skip
"""Media types that can be created and logged. Images, tables and histograms are stored, the others dropped."""


def init(
    project: str | None = None,
    entity: str | None = None,
    *,
    config: object = None,
    name: str | None = None,
    tags: Iterable[str] | None = None,
    group: str | None = None,
    notes: str | None = None,
    job_type: str | None = None,
    id: str | None = None,
    resume: bool | str | None = None,
    mode: str | None = None,
    reinit: object = None,
    settings: object = None,
    config_exclude_keys: Iterable[str] | None = None,
    config_include_keys: Iterable[str] | None = None,
    **others: object,
) -> Run:
    """Start a run; the arguments are W&B's.

    `entity`, `notes` and `job_type` become tags, and `id` may be any text. Arguments override `settings`. If a run is
    still open it is returned, or finished first with `reinit=True`. Other arguments have no effect and cause a warning.

    Raises:
        SettingsError: an argument is not supported; one line says which, and how to fix it.
    """
    global run  # noqa: PLW0603  # as W&B has it
    given = Settings.of(settings)
    project, entity, name = project or given.project, entity or given.entity, name or given.run_name
    group, notes, job_type = group or given.run_group, notes or given.run_notes, job_type or given.run_job_type
    tags, id, mode = tags or given.run_tags, id or given.run_id, mode or given.mode  # as W&B has it
    resume, reinit = resume or given.resume, reinit if reinit is not None else given.reinit
    for unused in given.others:
        _once.say(f"Settings({unused}=...)", "has no effect")
    if mode is not None and mode not in _MODES:
        raise SettingsError("mode", f"{mode!r} is not known", f"use one of {', '.join(_MODES)}")
    if run is not None and not run._done:
        if reinit in ("return_previous", None, False):
            return run
        if reinit != "create_new":
            run.finish()
    for unused in others:
        _once.say(f"init({unused}=...)", "has no effect")
    about = {"entity": entity, "notes": notes, "job_type": job_type}
    known = {**{k: v for k, v in about.items() if v}, **dict.fromkeys(tags or (), "")}
    held = Config(config, include=config_include_keys, exclude=config_exclude_keys)
    started = _init(
        project or "uncategorized",
        name,
        config=dict(held),
        tags=known,
        group=group,
        mode=_MODES[mode or "online"],  # type: ignore[arg-type]  # one of the modes
        run_id=None if id is None else _run_id(id),
        resume=_resume(resume, id),
    )
    made = Run(started, held, id, tuple(tags or ()), group, job_type, notes)
    run = made
    return made


def log(
    data: Mapping[str, object], step: int | None = None, commit: bool | None = None, sync: bool | None = None
) -> None:
    """Log metrics to the run. See `Run.log`."""
    _running("log").log(data, step, commit, sync)


def alert(title: str, text: str = "", level: str | AlertLevel | None = None, wait_duration: object = None) -> None:
    """Send an alert about the run."""
    _running("alert").alert(title, text, level, wait_duration)


def watch(models: object = None, criterion: object = None, log: object = "gradients", **options: object) -> None:
    """Warn that gradients are not stored; log a `grad_norm` for the rules that need it."""
    _running("watch").watch(models, criterion, log, **options)


def define_metric(name: str, *args: object, **options: object) -> None:
    """Set how the summary aggregates a metric, for example with `summary="min"`."""
    _running("define_metric").define_metric(name, *args, **options)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the run, if there is one."""
    del quiet
    if run is not None:
        run.finish(exit_code)


def _running(verb: str) -> Run:
    if run is None or run._done:
        raise SettingsError("run", f"wandb.{verb} was called without a run", "call wandb.init() first")
    return run


def _run_id(given: str) -> str:
    """A run id for any text; 32 hex digits stay as they are."""
    import uuid

    text = given.replace("-", "").lower()
    plain = len(text) == 32 and all(c in "0123456789abcdef" for c in text)
    return text if plain else uuid.uuid5(uuid.NAMESPACE_URL, f"wandb:{given}").hex


def _resume(resume: bool | str | None, given: str | None) -> Any:
    if given is None:
        if resume == "must":
            raise SettingsError("id", 'resume="must" needs the run to resume', "pass id=...")
        return "never"
    found = {None: "allow", False: "never", True: "allow", "auto": "allow", "allow": "allow", "must": "must",
             "never": "never"}  # fmt: skip
    if resume not in found:
        raise SettingsError("resume", f"{resume!r} is not known", "use allow, must or never")
    return found[resume]


class _Refused(SettingsError, AttributeError):  # type: ignore[misc]  # both have a name
    """Raised for a feature of W&B that has no counterpart; an `AttributeError`, so that `hasattr` is False."""


class _Wandb(ModuleType):
    """The module type: adds `config`, `summary` and a response to every other name in W&B."""

    @property
    def config(self) -> Config:
        """The run's configuration."""
        return _running("config").config

    @property
    def summary(self) -> Summary:
        """The run's summary."""
        return _running("summary").summary

    def __getattr__(self, name: str) -> Any:
        if name in _REFUSED:
            fix = "run this part of the script with W&B itself, or leave it out"
            raise _Refused(f"wandb.{name}", "is W&B's own and has no counterpart here", fix)
        if name in _MEDIA:
            return Media.of(name)
        if name in _IGNORED:
            _once.say(name, "does nothing here")
            return lambda *_, **__: None
        raise AttributeError(f"monitor.compat.wandb has no {name!r}; docs/integrations.md lists what it has")


sys.modules[__name__].__class__ = _Wandb
__all__ = [
    "AlertLevel",
    "Config",
    "Run",
    "Settings",
    "Summary",
    "alert",
    "define_metric",
    "finish",
    "init",
    "log",
    "run",
    "watch",
]
