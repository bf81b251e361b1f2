"""`init`, and the module-level `log`, `finish` and `alert` for the run that it returned last."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

from monitor.errors import RunExists, RunNotFound, SettingsError, Unauthorized
from monitor.http.address import server_of
from monitor.journal.write.journal import MAX_STEP
from monitor.run import lifetime, lines, options, outer
from monitor.run.disabled import DisabledRun
from monitor.run.endings import ending
from monitor.run.naming import run_name
from monitor.run.run import Loggable, Run
from monitor.settings import Settings, load

if TYPE_CHECKING:
    from monitor.shipping.sinks import Sink

# How long `init` waits for the server to refuse a run id.
_FIRST_ANSWER_S: Final = 5.0


def init(
    project: str,
    name: str | None = None,
    config: object = None,
    tags: object = None,
    group: str | None = None,
    loss: object = None,
    mode: options.Mode = "auto",
    server: str | None = None,
    run_id: str | None = None,
    resume: options.Resume = "never",
    *,
    train: str | None = None,
    val: str | None = None,
    goal: str | None = None,
    ranks: options.Ranks = "first",
    capture: options.Capture | None = None,
    capture_output: bool | None = None,
    stop: str | Mapping[str, str] | None = None,
    planned_steps: int | None = None,
    settings: Settings | None = None,
    sink: Sink | None = None,
) -> Run:
    """Start a run, or resume one.

    Args:
        project: the project it belongs to.
        name: the run's name; None: a readable one, such as `brisk-otter-7`.
        config: hyperparameters: a mapping, a dataclass, a namespace, or an object with `to_dict`.
        tags: a mapping, or a list of words.
        group: runs of the same group are compared, such as the seeds of one experiment.
        loss: the loss: a name, a mapping, one of `monitor.losses`, or the loss itself, such as
            `torch.nn.CrossEntropyLoss(label_smoothing=0.1)`, whose settings are read.
        mode: "auto": the server if one is configured, else the embedded store; "embedded"; "server"; "offline": only
            the journal, for `monitor sync`; "disabled": nothing is recorded.
        server: the server's address; by default `MONITOR_SERVER_URL`.
        run_id: 32 hex digits, for a run that is resumed or shared; by default a new id.
        resume: "never": the run must be new; "allow": resume it if it exists; "must": it must exist.
        train: the series with the training loss; None: found by its name, see `docs/naming.md`.
        val: the series with the validation loss; None: found by its name.
        goal: the metric to improve, such as "val/accuracy". Append `:max` or `:min` if its name does not say which way
            is better. None: found by its name.
        ranks: in a distributed job, "first": only rank 0 logs; "all": the other ranks join its run.
        capture: what to record of the environment: True, False, some of the names `git`, `command`, `packages`, `host`,
            `gpus` and `system`, or a mapping of these names to booleans; by default `MONITOR_CAPTURE`, or all.
        capture_output: store what the process prints; by default `MONITOR_CAPTURE_OUTPUT`, or False.
        stop: what advice to stop leads to. "advise": `should_stop()` returns True. "alert": people are alerted, the
            loop is not told. "stop": `should_stop()` returns True once the advice has persisted. "off": nothing ends
            the loop. Or a mapping of rules to these, with "*" for all others. By default as the settings say.
        planned_steps: the number of steps that the loop is going to run, to compute what a stop saves; by default
            `max_steps` or the like in the configuration.
        settings: settings to use instead of those from the environment.
        sink: where to send data instead, such as a `MemorySink` in a test.

    Returns:
        The run. A server that is down is not an error: points wait in the journal.

    Raises:
        SettingsError: an argument or a setting is invalid; one line says which, and how to fix it.
        RunExists: `run_id` is stored and `resume` is "never".
        RunNotFound: `run_id` is not stored and `resume` is "must".
        Unauthorized: `run_id` is given and the server refuses the token.
    """
    options.one_of("mode", mode, options.MODES)
    options.one_of("resume", resume, ("never", "allow", "must"))
    options.one_of("ranks", ranks, ("first", "all"))
    project = options.name_of("project", project)
    rng = random.Random()  # names need no secrecy
    shown = run_name(rng) if name is None else options.name_of("name", name)
    rank = options.rank_of(os.environ)
    if mode == "disabled" or (rank.number and ranks == "first"):
        return lifetime.make_current(DisabledRun(project, shown))
    outer_run = outer.take() if sink is None else None
    ident, given = options.run_id_of(run_id, resume)
    known = name is None and resume != "never" and given  # the run may already have a name, which must stay
    if outer_run is not None and not given:
        ident = outer_run
    shown = f"run-{ident[:8]}" if known else shown
    if rank.of > 1 and ranks == "all" and not given:
        raise SettingsError("run_id", 'ranks="all" needs one run id for all ranks', "pass run_id or MONITOR_RUN_ID")
    chosen = settings or load(server_url=server_of(server))
    if mode == "server" and chosen.server_url is None:
        raise SettingsError("server", 'mode="server" needs an address', "pass server= or set MONITOR_SERVER_URL")
    server_of(chosen.server_url)
    if capture is not None:
        chosen = chosen.model_copy(update={"capture": options.capture_of(capture)})
    start: dict[str, object] = {
        "project": project,
        "name": None if known else shown,
        "group": None if group is None else options.name_of("group", group),
        "config": options.config_of(config),
        "tags": options.tags_of(tags),
        "loss": options.loss_of(loss),
        "resume": resume,
        "heartbeat_s": chosen.heartbeat_s,
        "join": bool(rank.number),
    }
    roles = options.roles_of(chosen.roles, train=train, val=val, goal=goal)
    if roles:
        start["roles"] = roles
    modes = options.stop_of(stop, chosen.stop_modes_of(project))
    if modes:
        start["stop"] = modes
    if planned_steps is not None:
        start["planned_steps"] = options.steps_of(planned_steps)
    remote = chosen.server_url if mode in ("auto", "server", "offline") else None
    run = Run(
        settings=chosen,
        run_id=ident,
        name=shown,
        start=start,
        open_sink=None if mode == "offline" else _opener(chosen, remote, sink),
        server=remote,
        rng=rng,
    )
    if given and mode != "offline":
        _refused_at_once(run)
        if resume != "never" and sink is None:
            _go_on_counting(run, chosen, remote)
    if capture_output if capture_output is not None else chosen.capture_output and outer_run is None:
        run._keep_output(True)
    if set(chosen.capture) - {"system"}:  # the writer samples the machine itself
        run._capture = threading.Thread(target=_capture, args=(run,), name="monitor-capture", daemon=True)
        run._capture.start()
    lines.begun(shown, remote, offline=mode == "offline")
    lines.also_open([each.name for each in lifetime.opened() if each is not run])
    return lifetime.make_current(run)


def log(
    data: Loggable,
    step: int | None = None,
    epoch: float | None = None,
    time: float | None = None,
    *,
    weights: Loggable | None = None,
) -> None:
    """Log metrics to the current run, the one `init` returned last. See `Run.log`."""
    current().log(data, step, epoch, time, weights=weights)


def finish(status: str = "finished", error: object = None) -> None:
    """End the current run. See `Run.finish`."""
    current().finish(status, error)


def alert(title: str, body: str = "", severity: Literal["critical", "warning", "info"] = "warning") -> None:
    """Send an alert about the current run. See `Run.alert`."""
    current().alert(title, body, severity)


def current() -> Run:
    """The run that `init` returned last, if it is not finished.

    Raises:
        SettingsError: no run is active.
    """
    run = lifetime.current_run()
    if not isinstance(run, Run):
        raise SettingsError("run", "no run is active", 'call monitor.init("my-project") first')
    return run


def _opener(settings: Settings, server: str | None, given: Sink | None) -> Callable[[], Sink]:
    from monitor.shipping.sinks import Destination

    return Destination(settings, server) if given is None else lambda: given


def _refused_at_once(run: Run) -> None:
    """Make `init` fail if the server refuses the given run id, as long as the refusal comes in time.

    Other errors may come from a proxy and pass. They are no reason to fail: the journal keeps the run meanwhile.
    """
    writer = run._writer
    if writer is None or writer.shipper is None:
        return
    deadline = monotonic() + _FIRST_ANSWER_S
    writer.shipper.first_answer(deadline - monotonic())
    problem = writer.shipper.refused or writer.shipper.trouble
    if isinstance(problem, RunExists | RunNotFound | Unauthorized) and not run._start.get("join"):
        run._finished = True
        lifetime.end(run)
        writer.discard()
        raise problem


def _go_on_counting(run: Run, settings: Settings, server: str | None) -> None:
    """Continue the automatic steps of a resumed run after its last one, if that can be read."""
    from monitor.reader.api import Api

    try:
        with Api(settings=settings.model_copy(update={"server_url": server})) as api:
            steps = [info.last_step for info in api.run(run.id).series() if isinstance(info.last_step, int)]
    except Exception:  # training starts whatever the server replies
        return
    if steps and run._writer is not None:
        run._writer.journal.step = min(MAX_STEP, max(steps) + 1)


def _capture(run: Run) -> None:
    from monitor.run.capture import captured

    run._event("capture", captured(run._settings.capture))


__all__ = ["DisabledRun", "Run", "alert", "current", "ending", "finish", "init", "log"]
