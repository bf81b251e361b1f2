"""The runs of a backtest: found in the store or in folders, then read and replayed in parallel."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from monitor.cli.reader import refuse_project
from monitor.cli.rule_files import role_series
from monitor.errors import FileUnreadable, MonitorError
from monitor.importers import read_curves
from monitor.importers.reading import read_table
from monitor.reader.api import Api
from monitor.reader.cases import case_of
from monitor.rules import RulesConfig
from monitor.rules.lab.backtest import Case, Replayed, labels_of, replay
from monitor.rules.registry import all_rules

SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
PAGE: Final = 500
"""Runs per request."""
EACH: Final = 8
"""Runs from which another process pays off."""
AHEAD: Final = 4
"""Runs submitted ahead, per process."""
LABEL: Final = "label"
"""The tag with a run's label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A run to replay, not yet read.

    Attributes:
        ref: the id of a stored run, or the path of a file.
        name: its name in the report.
        stored: True for a stored run.
        loss: what is known of its loss.
        label: the value of its tag.
        labels: the parsed labels.
    """

    ref: str
    name: str
    stored: bool
    loss: Mapping[str, object] | None = None
    label: str = ""
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A run that could not be read, and why."""

    ref: str
    name: str
    problem: str


def stored(server: str | None, refs: Sequence[str], project: str | None, query: str | None) -> list[Item]:
    """The selected runs of the store; all by default.

    Raises:
        MonitorError: the run does not exist, or the store cannot be read.
    """
    with Api(server) as api:
        if refs:
            infos = [api.run(ref).info for ref in refs]
        else:
            refuse_project(api, project)
            infos = []
            while True:
                page = api.runs_page(project=project, query=query, limit=PAGE, offset=len(infos))
                infos += page.items
                if len(infos) >= page.total or not page.items:
                    break
    unique = {info.id: info for info in infos}.values()
    return [
        Item(ref=i.id, name=f"{i.project}/{i.name}", stored=True, loss=i.loss, label=str(i.tags.get(LABEL, "")))
        for i in unique
    ]


def files(paths: Iterable[str]) -> list[Item]:
    """The selected files; a folder stands for all files with losses in it and below.

    Raises:
        FileUnreadable: a path does not exist, or a folder has no files with losses.
    """
    found: dict[str, Item] = {}
    for text in paths:
        path = Path(text)
        if not path.exists():
            raise FileUnreadable(text, "", "no such file")
        each = _below(path) if path.is_dir() else [path]
        if not each:
            raise FileUnreadable(text, "", f"holds no file of losses ({', '.join(SUFFIXES)} or TensorBoard events)")
        for file in each:
            found.setdefault(str(file), Item(ref=str(file), name=str(file), stored=False))
    return list(found.values())


def labelled(items: Sequence[Item], path: Path | None) -> tuple[list[Item], list[str], list[str]]:
    """Attach labels from the runs' tags or from a file.

    Args:
        path: CSV with the columns `run` (id, its first digits, name, or file) and `label`; None: use the tags.

    Returns:
        The runs with labels, words that are not labels, and runs that only the file has.

    Raises:
        FileUnreadable: a row matches several runs; the message names it.
    """
    texts = {item.ref: [item.label] for item in items}
    strangers: list[str] = []
    if path is not None:
        texts = {item.ref: [] for item in items}
        table = read_table(path)
        columns = {name.strip().lower(): name for name in table.names}
        for column in ("run", LABEL):
            if column not in columns:
                raise FileUnreadable(str(path), "row 1", f"has no column {column!r}, only {', '.join(table.names)}")
        names = _names(items)
        for row in table.rows:
            run = str(row.cells.get(columns["run"]) or "").strip()
            refs = names.get(run) or {
                item.ref for item in items if item.stored and len(run) >= 4 and item.ref.startswith(run)
            }
            if len(refs) > 1:
                raise FileUnreadable(str(path), f"row {row.number}", f"{run!r} is {len(refs)} runs; write the id")
            if not refs:
                strangers.append(run)
            for ref in refs:
                texts[ref].append(str(row.cells.get(columns[LABEL]) or ""))
    rules = [rule.spec.name for rule in all_rules()]
    read = {ref: labels_of(" ".join(words), rules) for ref, words in texts.items()}
    foreign = sorted({word for _, words in read.values() for word in words})
    return [replace(item, labels=read[item.ref][0]) for item in items], foreign, strangers


def run(
    items: Sequence[Item],
    configs: Sequence[RulesConfig],
    server: str | None,
    jobs: int | None,
    advance: Callable[[], object],
) -> tuple[list[Replayed], list[Failed]]:
    """Replay runs in several processes; results keep the order of the runs.

    Args:
        server: where stored runs are; None: according to the settings.
        jobs: number of processes; None: one per core, fewer for few runs.

    Returns:
        The replayed runs, and those that could not be read.
    """
    workers = min(jobs or _cores(), max(1, len(items) // EACH) if jobs is None else len(items))
    if workers <= 1:
        found = []
        with Api(server) if any(item.stored for item in items) else nullcontext() as api:
            for item in items:
                found.append(_replay(item, configs, api))
                advance()
    else:
        found = _in_processes(items, configs, server, workers, advance)
    return [r for r in found if isinstance(r, Replayed)], [r for r in found if isinstance(r, Failed)]


def _in_processes(
    items: Sequence[Item],
    configs: Sequence[RulesConfig],
    server: str | None,
    workers: int,
    advance: Callable[[], object],
) -> list[Replayed | Failed]:
    overrides = json.dumps([dict(config.overrides) for config in configs])
    found: dict[int, Replayed | Failed] = {}
    waiting: dict[Future[Replayed | Failed], int] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool:
        try:
            for k, item in enumerate(items):
                waiting[pool.submit(_in_worker, item, overrides, server)] = k
                while len(waiting) >= AHEAD * workers:
                    _collect(waiting, found, advance)
            while waiting:
                _collect(waiting, found, advance)
        except BaseException as error:
            pool.shutdown(cancel_futures=True)  # waits for the few that have started
            if isinstance(error, BrokenProcessPool):
                raise MonitorError("a backtest process was killed, perhaps for lack of memory; try --jobs 1") from None
            raise
    return [found[k] for k in range(len(items))]


def _collect(
    waiting: dict[Future[Replayed | Failed], int], found: dict[int, Replayed | Failed], advance: Callable[[], object]
) -> None:
    """Collect finished runs, at least one."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        found[waiting.pop(future)] = future.result()
        advance()


def _in_worker(item: Item, overrides: str, server: str | None) -> Replayed | Failed:
    return _replay(item, _configs(overrides), _api(server) if item.stored else None)


def _replay(item: Item, configs: Sequence[RulesConfig], api: Api | None) -> Replayed | Failed:
    try:
        return replay(_read(item, api), configs)
    except MonitorError as error:
        return Failed(ref=item.ref, name=item.name, problem=str(error))


def _read(item: Item, api: Api | None) -> Case:
    """The run with the full history of its diagnosed series."""
    if api is not None and item.stored:
        return case_of(api.run(item.ref), item.name, item.labels)
    curves = read_curves(item.ref)
    return Case(
        ref=item.ref,
        name=item.name,
        series=role_series(curves),
        unit=curves.unit,
        parts=curves.parts,
        labels=item.labels,
    )


def _below(folder: Path) -> list[Path]:
    """Files with losses in a folder, and folders with TensorBoard events."""
    found = {p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES}
    found |= {p.parent for p in folder.rglob("*tfevents*") if p.is_file()}
    return sorted(found)


def _names(items: Sequence[Item]) -> dict[str, set[str]]:
    """The runs by all their names."""
    names: dict[str, set[str]] = {}
    for item in items:
        path = Path(item.ref)
        called = {item.name, item.name.split("/", 1)[-1], item.ref} if item.stored else {item.ref, path.name, path.stem}
        for name in called:
            names.setdefault(name, set()).add(item.ref)
    return names


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quiet() -> None:
    """Ignore Ctrl-C: the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@cache
def _configs(overrides: str) -> tuple[RulesConfig, ...]:
    return tuple(RulesConfig.from_mapping(each) for each in json.loads(overrides))


@cache
def _api(server: str | None) -> Api:
    """One reader per process, never closed."""
    return Api(server)
