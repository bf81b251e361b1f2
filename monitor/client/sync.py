"""Journals that their processes left behind: what is unsent, and sending it.

A journal is left behind by `kill -9`, by a server that was down when the run ended, and by `mode="offline"`. Folders
whose writer still lives are never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from monitor.client.ack import AckFile, read_ack
from monitor.client.claim import GONE, claim, note_of, remove
from monitor.client.options import server_of
from monitor.client.records import JournalReader
from monitor.client.segment import segment_files, size_on_disk
from monitor.client.shipper import batch_of
from monitor.errors import MonitorError, OffsetGap, StoreError, WireError

if TYPE_CHECKING:
    from monitor.client.sinks import Sink
    from monitor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One writer's journal on this machine.

    Attributes:
        run_id: the run's id.
        run_name: its name, "" where the journal does not say.
        writer: the writer's name.
        live: True while its process runs and ships it itself.
        records: records that are not acknowledged.
        points: points in them.
        lost: records among them that cannot be read: damaged, or without the value that was to come from a device.
        size: bytes on disk.
        pid: the writer's process.
        server: the server that its run is meant for; None: the embedded store, or whoever asks.
        embedded: True where the run has gone to the embedded store so far.
        offline: True where its process was never to send it.
        problem: why the last try to send it failed, None where there was none.
    """

    folder: Path
    run_id: str
    run_name: str
    project: str
    writer: str
    live: bool
    records: int
    points: int
    size: int
    lost: int = 0
    pid: int | None = None
    server: str | None = None
    embedded: bool = False
    offline: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What `sync` did.

    Attributes:
        sent: journals that are stored in full now, and deleted here.
        left: journals that are still here, each with its `problem`.
        lost: records whose values a crash took before they came from a device, or that the disk lost.
    """

    sent: tuple[Leftover, ...] = ()
    left: tuple[Leftover, ...] = ()
    lost: int = 0


Progress = Callable[[Leftover, int], None]
"""Called with a journal and how many of its records have been sent."""


def unsent(journal_dir: Path) -> tuple[Leftover, ...]:
    """The journals in a folder that hold records which are not acknowledged, or belong to a living writer.

    Args:
        journal_dir: `settings.journal_dir`.
    """
    found = (_look(folder) for folder in _folders(journal_dir))
    return tuple(item for item in found if item is not None and (item.live or item.records))


def sync(
    journal_dir: Path, open_sink: Callable[[Leftover], Sink | None], progress: Progress | None = None
) -> SyncReport:
    """Send the journals of dead processes, oldest first, and delete what is stored.

    Args:
        journal_dir: `settings.journal_dir`.
        open_sink: makes the sink for a journal, only where it has something to send and its destination is another one
            than that of the journal before it; None: that journal is not to be sent from here.
        progress: told how far each journal is.

    Returns:
        What was sent and what was left. Nothing is raised for a journal that is refused, or whose destination cannot
        be reached; the others go on.
    """
    return _ship_all(_folders(journal_dir), open_sink, progress, None)


def meant_for(item: Leftover, configured: str | None) -> str | None:
    """The server that a journal is meant for, None for the embedded store.

    Args:
        item: the journal.
        configured: the server of a run that named none.
    """
    return item.server or (None if item.embedded else configured)


def own_destination(settings: Settings, server: str | None = None) -> Callable[[Leftover], Sink]:
    """Let each journal go where its run was meant to go.

    Args:
        settings: say where a run goes that named no server.
        server: where all of them are to go instead.

    Raises:
        SettingsError: an address cannot be used.
    """
    instead, configured = server_of(server), server_of(settings.server_url)

    def open_sink(item: Leftover) -> Sink:
        from monitor.client.sinks import Destination

        return Destination(settings, instead or meant_for(item, configured))()

    return open_sink


def ship_run(run_folder: Path, open_sink: Callable[[], Sink], *, until: float) -> SyncReport:
    """Send what dead writers of one run left behind.

    Args:
        run_folder: the run's folder under `settings.journal_dir`.
        open_sink: makes the sink.
        until: `time.monotonic()` at which to give up.
    """
    return _ship_all(_writers(run_folder), lambda _: open_sink(), None, until)


class _Sinks:
    """One sink for each destination that is met."""

    def __init__(self, open_sink: Callable[[Leftover], Sink | None]) -> None:
        self._open = open_sink
        self._made: dict[tuple[str | None, bool], Sink | None] = {}

    def of(self, item: Leftover) -> Sink | None:
        place = item.server, item.embedded
        if place not in self._made:
            self._made[place] = self._open(item)
        return self._made[place]

    def close(self) -> None:
        for sink in self._made.values():
            if sink is not None:
                sink.close()


def _ship_all(
    folders: list[Path], open_sink: Callable[[Leftover], Sink | None], progress: Progress | None, until: float | None
) -> SyncReport:
    sinks = _Sinks(open_sink)
    sent, left, lost = [], [], 0
    try:
        for folder in folders:
            if until is not None and monotonic() > until:
                break
            held = claim(folder)
            if held is None:
                continue
            try:
                item = _look(folder, live=False)
                if item is None:
                    continue
                try:
                    sink = sinks.of(item) if item.records else None
                    if item.records and sink is None:
                        continue  # it is meant for another place
                    lost += _ship(item, sink, progress)
                    sent.append(item)
                except (MonitorError, OSError) as error:
                    held.say_why(str(error))
                    left.append(replace(item, problem=str(error)))
            finally:
                held.release()
    finally:
        sinks.close()
    return SyncReport(sent=tuple(sent), left=tuple(left), lost=lost)


def _ship(item: Leftover, sink: Sink | None, progress: Progress | None) -> int:
    """Send one journal whose folder is claimed, then delete it; the records that were lost."""
    ack = AckFile(item.folder)
    reader = JournalReader(item.folder, ack.position, recover=True)
    done = lost = gaps = 0
    try:
        while (part := reader.read()) is not None:
            assert sink is not None
            try:
                reply = sink.send(batch_of(item.run_id, item.writer, part, part.first))
            except OffsetGap as gap:
                gaps += 1
                if not reader.seek(gap.expected):
                    raise WireError("first", f"{gap}; the journal does not hold that record") from gap
                if gaps > 3:
                    raise StoreError(f"the receiver asks for another record each time: {gap}") from gap
                continue
            gaps = 0
            lost += part.lost
            done += part.count
            if reply.acked > reader.position.record:
                reader.seek(reply.acked)
            ack.write(reader.position)
            if progress is not None:
                progress(item, done)
    finally:
        ack.close()
    remove(item.folder)
    return lost


def _folders(journal_dir: Path) -> list[Path]:
    if not journal_dir.is_dir():
        return []
    found = [folder for run in journal_dir.iterdir() if run.is_dir() for folder in _writers(run)]
    return sorted(found, key=_age)


def _writers(run_folder: Path) -> list[Path]:
    found = []
    with suppress(FileNotFoundError):  # all of it was sent meanwhile
        for folder in run_folder.iterdir():
            if folder.name.startswith(GONE):
                shutil.rmtree(folder, ignore_errors=True)  # who began to delete it was killed
            elif folder.is_dir():
                found.append(folder)
    return sorted(found, key=_age)


def _age(folder: Path) -> float:
    files = segment_files(folder)
    with suppress(OSError):
        return min((path.stat().st_ctime for _, path in files), default=folder.stat().st_ctime)
    return 0.0


def _look(folder: Path, *, live: bool | None = None) -> Leftover | None:
    """What a folder holds; None where it has been dealt with and deleted meanwhile."""
    if live is None:
        held = claim(folder)
        live = held is None
        if held is not None:
            held.release()
    if not folder.is_dir():
        return None
    reader = JournalReader(folder, read_ack(folder), recover=True)
    records, points, lost = _remaining(reader)
    note = note_of(folder)
    pid, server, problem = note.get("pid"), note.get("server"), note.get("problem")
    return Leftover(
        folder=folder,
        run_id=folder.parent.name,
        run_name=str(note.get("run", "")),
        project=str(note.get("project", "")),
        writer=folder.name,
        live=live,
        records=records,
        points=points,
        lost=lost,
        size=size_on_disk(folder),
        pid=pid if isinstance(pid, int) else None,
        server=server if isinstance(server, str) else None,
        embedded=note.get("embedded") is True,
        offline=note.get("offline") is True,
        problem=problem if isinstance(problem, str) else None,
    )


def _remaining(reader: JournalReader) -> tuple[int, int, int]:
    """As `JournalReader.remaining`; a living writer's segments may be acknowledged and deleted meanwhile."""
    for _ in range(5):
        with suppress(FileNotFoundError):
            return reader.remaining()
        reader = JournalReader(reader.folder, read_ack(reader.folder), recover=True)
    return 0, 0, 0
