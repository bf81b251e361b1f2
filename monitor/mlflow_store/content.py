"""What a run looks like in MLflow: status, params, tags, metrics. Shared by the mirror and the store.

The verdict is in tags and metrics, so that MLflow's filters can query it. A tag without content is left out, never
empty.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from monitor.domain import Checkpoint, Finding, FindingState, RunInfo, RunStatus, Severity, best_checkpoint, whole
from monitor.domain.mlflow_tags import OWN, is_ours
from monitor.importers.mlflow_runs import BEST, IMPORTED, SEVERITY, SKILL
from monitor.limits import cut
from monitor.losses import skill
from monitor.run.endings import INTERRUPTED
from monitor.store import Store

# Limits of MLflow 3.17, from `mlflow/utils/validation.py`.
MAX_KEY: Final = 250
MAX_PARAM: Final = 6000
MAX_TAG: Final = 8000
MAX_EXPERIMENT: Final = 500
_BAD: Final = re.compile(r"[^/\w.\- :]")

RUN_ID: Final = f"{OWN}run_id"
"""The tag that identifies the MLflow run of one of our runs. Runs with it are skipped by an import."""
NO_VALUE: Final = "true"
"""The value of a tag that has none, such as a word in a list: MLflow cannot filter by an empty value."""

_STATUS: Final[Mapping[RunStatus, str]] = {
    RunStatus.RUNNING: "RUNNING",
    RunStatus.STALLED: "RUNNING",
    # Not "RUNNING", which would stay forever. A run that comes back is set to running again.
    RunStatus.LOST: "KILLED",
    RunStatus.FINISHED: "FINISHED",
    # Not a failure: it did as asked, and has a best step.
    RunStatus.STOPPED: "FINISHED",
    RunStatus.FAILED: "FAILED",
}
_SEVERITY: Final[Mapping[Severity, float]] = {Severity.INFO: 1.0, Severity.WARNING: 2.0, Severity.CRITICAL: 3.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Everything about a run that is shown in MLflow.

    Attributes:
        findings: of all rules, firing and resolved.
        checkpoints: in the order in which they were saved.
        capture: what was recorded about the run's environment.
        page: address of the run's page on the dashboard; None if there is none.
    """

    run: RunInfo
    findings: Sequence[Finding] = ()
    checkpoints: Sequence[Checkpoint] = ()
    capture: Mapping[str, object] = field(default_factory=dict)
    page: str | None = None

    @classmethod
    def of(cls, store: Store, run: RunInfo, page: str | None) -> Subject:
        """What the store knows about a run."""
        return cls(
            run=run,
            findings=store.findings(run.id),
            checkpoints=store.checkpoints(run.id),
            capture=store.capture(run.id),
            page=page,
        )


def status_of(run: RunInfo) -> str:
    """MLflow's status of a run. A run interrupted from the keyboard, or lost, is `KILLED`."""
    if run.status is RunStatus.FAILED and run.error == INTERRUPTED:
        return "KILLED"
    return _STATUS[run.status]


def end_ms(run: RunInfo) -> int | None:
    """When the run ended; for a lost run, when it was last heard of; None while it runs."""
    if status_of(run) == "RUNNING":
        return None
    return run.finished_ms or run.heartbeat_ms or run.last_point_ms or run.created_ms


def params_of(config: Mapping[str, object]) -> dict[str, str]:
    """The configuration, flattened with dots. Lists become JSON. Long values are cut and end in "…".

    >>> params_of({"model": {"depth": 3, "act": "relu"}, "lr schedule": [1, 2], "p(drop)": None})
    {'model.depth': '3', 'model.act': 'relu', 'lr schedule': '[1, 2]', 'p_drop_': 'None'}
    """
    found: dict[str, str] = {}
    for path, value in _leaves("", config):
        key = free(safe_key(path), found)
        found[key] = cut(value if isinstance(value, str) else _text(value), MAX_PARAM)
    return found


def metric_names(keys: Sequence[str]) -> dict[str, str]:
    """Series -> its unique name in MLflow. Names that MLflow cannot tell apart, or that are ours, get a suffix.

    >>> metric_names(["val/loss", "acc@5", "acc_5", "monitor.skill"])
    {'val/loss': 'val/loss', 'acc@5': 'acc_5', 'acc_5': 'acc_5_2', 'monitor.skill': 'monitor.skill_2'}
    """
    taken: dict[str, object] = dict.fromkeys((SEVERITY, SKILL, BEST))
    names: dict[str, str] = {}
    for key in keys:
        names[key] = free(safe_key(key), taken)
        taken[names[key]] = None
    return names


def metrics_of(subject: Subject) -> dict[str, float]:
    """The verdict as metrics.

    `monitor.severity` is that of the worst firing finding: 3 critical, 2 warning, 1 info, 0 none. `monitor.skill` is 0
    at chance and 1 at the loss's floor, if both are known. `best/val_loss` is the lowest validation loss (training loss
    if there is no validation).
    """
    firing = [_SEVERITY[finding.severity] for finding in subject.findings if finding.state is FindingState.FIRING]
    found = {SEVERITY: max(firing, default=0.0)}
    best = subject.run.recommendation.best_val_loss
    if best is not None:
        found[BEST] = best
        score = skill(subject.run.loss, best) if subject.run.loss else None
        if score is not None:
            found[SKILL] = score
    return found


def tags_of(subject: Subject) -> dict[str, str]:
    """The run's own tags, the verdict as `monitor.…`, and the run's origin in MLflow's own tags."""
    own: dict[str, str] = {}
    for key, value in subject.run.tags.items():
        text = cut(str(value), MAX_TAG)
        own[free(safe_key(key), own)] = text if text.strip() else NO_VALUE
    return _source(subject.capture) | own | verdict_tags(subject)


def marks_of(subject: Subject) -> dict[str, str]:
    """The verdict as tags for a run that was imported from this MLflow. It is the original, not a mirror."""
    found = {name: text for name, text in verdict_tags(subject).items() if name != RUN_ID}
    return found | {IMPORTED: subject.run.id}


def verdict_tags(subject: Subject) -> dict[str, str]:
    """The verdict: `monitor.verdict`, `monitor.state`, `monitor.action`, `monitor.best_step` and so on.

    `monitor.<rule>` is `true` while a finding of this rule fires, and `false` once it is resolved; a rule that never
    fired has no tag. Each question needs its own tag because MLflow's filters have no OR, and no IN for tags.
    """
    run, rec = subject.run, subject.run.recommendation
    found: dict[str, object] = {
        rule: "true" if firing else "false" for rule, firing in _by_rule(subject.findings).items()
    }
    found |= {
        "run_id": run.id,
        "group": run.group,
        "state": run.status,
        "verdict": run.verdict,
        "headline": run.headline,
        "action": rec.action,
        "reason": rec.reason,
        "best_step": whole(rec.best_step),
        "first_stop_step": whole(rec.first_stop_step),
        "stop_step": whole(rec.stop_step),
        "stop_requested": run.stop_requested,
        "would_stop_at": run.stop_step,
        "attempt": run.attempt if run.attempt > 1 else None,
        "error": run.error,
        "page": subject.page,
        **_checkpoints(subject),
    }
    texts = {safe_key(OWN + name): "" if value is None else cut(str(value), MAX_TAG) for name, value in found.items()}
    return {name: text for name, text in texts.items() if text.strip()}


def stale(there: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Our tags that are present but no longer apply."""
    return tuple(name for name in there if is_ours(name) and name not in wanted)


def _by_rule(findings: Sequence[Finding]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for finding in findings:
        found[finding.rule] = found.get(finding.rule, False) or finding.state is FindingState.FIRING
    return found


def _checkpoints(subject: Subject) -> dict[str, object]:
    """The last checkpoint, the best one, and all of them, newest first."""
    saved, best = subject.checkpoints, best_checkpoint(subject.run.recommendation, subject.checkpoints)
    if not saved:
        return {}
    lines = [f"{checkpoint.step} {checkpoint.path}" for checkpoint in reversed(saved)]
    return {
        "checkpoint.last": saved[-1].path,
        "checkpoint.best": None if best is None else best.path,
        "checkpoints": "\n".join(_fitting(lines)),
    }


def _fitting(lines: Sequence[str]) -> list[str]:
    """As many lines as fit in a tag. The last one says how many were left out."""
    if sum(len(line) + 1 for line in lines) <= MAX_TAG:
        return list(lines)
    room, kept = MAX_TAG - len("and 1000000 more"), []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return [*kept, f"and {len(lines) - len(kept)} more"]


def _source(capture: Mapping[str, object]) -> dict[str, str]:
    """`mlflow.user` and `mlflow.source.*`, from what was captured.

    >>> _source({"argv": ["/bin/python", "train.py", "--lr", "1"], "user": "anna"})
    {'mlflow.user': 'anna', 'mlflow.source.name': 'train.py', 'mlflow.source.type': 'LOCAL'}
    """
    argv, git = capture.get("argv"), capture.get("git")
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    git = git if isinstance(git, Mapping) else {}
    name = next((word for word in words[1:] if PurePath(word).suffix == ".py"), words[1] if len(words) > 1 else None)
    found = {
        "mlflow.user": capture.get("user"),
        "mlflow.source.name": name,
        "mlflow.source.type": "LOCAL" if name else None,
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.source.git.branch": git.get("branch"),
    }
    return {key: cut(str(value), MAX_TAG) for key, value in found.items() if value and str(value).strip()}


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    elif prefix:
        yield prefix, value


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | tuple | Mapping) else str(value)


def safe_key(key: str) -> str:
    """A valid MLflow name: allowed characters, a normalised path, at most 250 characters.

    >>> [safe_key(k) for k in ("val/loss", "acc@5", "/a//b/", "..")]
    ['val/loss', 'acc_5', 'a.b', '_']
    """
    name = _BAD.sub("_", key)
    if name != posixpath.normpath(name) or name.startswith(("/", "..")) or name in ("", "."):
        name = re.sub(r"[/.]*/[/.]*", ".", name).strip("./") or "_"
    return name[:MAX_KEY].rstrip("/") or "_"


def free(key: str, taken: Mapping[str, object]) -> str:
    """The key, or the first of `key_2`, `key_3`, … that is not taken."""
    if key not in taken:
        return key
    n = 2
    while f"{key[: MAX_KEY - 16]}_{n}" in taken:
        n += 1
    return f"{key[: MAX_KEY - 16]}_{n}"


def plain(text: str) -> str:
    r"""The text without what JSON and databases cannot carry: NUL and halves of surrogate pairs.

    >>> plain("a\0b"), plain("half \ud800")
    ('a�b', 'half ?')
    """
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
