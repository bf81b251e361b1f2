"""Finds journals that dead processes left behind, and sends them.

A journal is left behind after `kill -9`, if the server was down when the run ended, or with `mode="offline"`. Folders
whose writer is alive are never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from monitor.errors import MonitorError, RunExists, RunNotFound, WireError
from monitor.http.address import server_of, shown
from monitor.journal.ack import AckFile, read_ack
from monitor.journal.claim import GONE, Claim, claim, note_of, remove, runs
from monitor.journal.read.records import JournalReader
from monitor.journal.segment import segment_files, size_on_disk
from monitor.shipping.carrier import Carrier, aside

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.shipping.sinks import Sink

_AGAIN_S: Final = 0.25
"""Seconds before a failed batch is sent again; the wait grows by as much with each failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One writer's journal on this machine.

    Attributes:
        run_id: the run's id.
        run_name: its name; "" if the journal does not say.
        writer: the writer's name.
        live: True while a process holds it: its writer, or one that sends it.
        writing: True while its writer runs, as far as this machine can tell.
        records: records that are not acknowledged.
        points: points in them.
        lost: records among them that cannot be read: damaged, or without the values that were still on a device.
        size: bytes on disk.
        pid: the writer's process.
        server: the server that the run is meant for; None: the embedded store, or whatever is configured.
        embedded: True if the run has gone to the embedded store so far.
        offline: True if its process was never meant to send it.
        problem: why the last attempt to send it failed; None if it did not.
        refused: True if that is permanent.
        aside: records that were refused and set aside so far.
        why_aside: why the last of them was.
        odd: what is wrong with its files, in one line; None if nothing is.
        foreign: True if its folder also holds segments of another run. The folder is then kept.
        unreadable: True if nothing is known about it but its `problem`.
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
    refused: bool = False
    aside: int = 0
    why_aside: str | None = None
    odd: str | None = None
    foreign: bool = False
    unreadable: bool = False
    writing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What `sync` did.

    Attributes:
        sent: journals that are now stored in full, and deleted here.
        left: journals that are still here, each with its `problem`.
        lost: records whose values were lost in a crash, or which the disk lost.
    """

    sent: tuple[Leftover, ...] = ()
    left: tuple[Leftover, ...] = ()
    lost: int = 0


Progress = Callable[[Leftover, int], None]
"""Called with a journal and the number of its records sent so far."""


def unsent(journal_dir: Path) -> tuple[Leftover, ...]:
    """Journals that hold records which are not acknowledged, or belong to a live writer.

    Args:
        journal_dir: `settings.journal_dir`. A journal that cannot be read does not hide the others.
    """
    found = (_look_or_say(folder) for folder in _folders(journal_dir))
    return tuple(
        item for item in found if item is not None and (item.live or item.records or item.unreadable or item.foreign)
    )


def sync(
    journal_dir: Path, open_sink: Callable[[Leftover], Sink | None], progress: Progress | None = None
) -> SyncReport:
    """Send the journals of dead processes, oldest first, and delete what is stored.

    Args:
        open_sink: creates the sink for a journal. Called once per destination, and only if there is something to send.
            None: do not send this journal from here.

    Returns:
        What was sent and what was left. A journal that is refused, or whose destination cannot be reached, raises
        nothing; the others continue.
    """
    return _ship_all(_folders(journal_dir), open_sink, progress, None)


def meant_for(item: Leftover, configured: str | None) -> str | None:
    """The server that a journal is meant for; None for the embedded store.

    Args:
        configured: the server for runs that name none.
    """
    if item.server is None:
        return None if item.embedded else configured
    # A journal's note holds no password, so use the configured address, which may.
    return configured if configured is not None and shown(configured) == shown(item.server) else item.server


def own_destination(settings: Settings, server: str | None = None) -> Callable[[Leftover], Sink]:
    """Send each journal where its run was meant to go.

    Args:
        settings: say where a run goes that names no server.
        server: send all of them here instead.
    """
    instead, configured = server_of(server), server_of(settings.server_url)

    def open_sink(item: Leftover) -> Sink:
        from monitor.shipping.sinks import Destination

        return Destination(settings, instead or meant_for(item, configured))()

    return open_sink


def ship_run(
    run_folder: Path, open_sink: Callable[[], Sink], *, until: float, progress: Progress | None = None
) -> SyncReport:
    """Send what the dead writers of one run left behind.

    Args:
        run_folder: the run's folder under `settings.journal_dir`.
        until: `time.monotonic()` after which no further journal is started.
    """
    return _ship_all(_writers(run_folder), lambda _: open_sink(), progress, until)


def _ship_all(
    folders: list[Path], open_sink: Callable[[Leftover], Sink | None], progress: Progress | None, until: float | None
) -> SyncReport:
    sinks: dict[tuple[str | None, bool], Sink | None] = {}

    def sink_of(item: Leftover) -> Sink | None:
        """One sink per destination."""
        place = item.server, item.embedded
        if place not in sinks:
            sinks[place] = open_sink(item)
        return sinks[place]

    found: list[SyncReport] = []
    try:
        for folder in folders:
            if until is not None and monotonic() > until:
                break
            found.append(_ship_folder(folder, sink_of, progress))
    finally:
        for sink in filter(None, sinks.values()):
            sink.close()
    sent, left = (item for each in found for item in each.sent), (item for each in found for item in each.left)
    return SyncReport(sent=tuple(sent), left=tuple(left), lost=sum(each.lost for each in found))


def _ship_folder(folder: Path, sink_of: Callable[[Leftover], Sink | None], progress: Progress | None) -> SyncReport:
    """Send the journal in a folder, unless its writer is alive."""
    try:
        held = claim(folder)
    except OSError as error:
        return SyncReport(left=(_unreadable(folder, error),))
    if held is None:
        return SyncReport()
    try:
        item = _look_or_say(folder, live=False)
        if item is None:
            return SyncReport()
        return SyncReport(left=(item,)) if item.unreadable else _ship_claimed(item, held, sink_of, progress)
    finally:
        held.release()


def _ship_claimed(
    item: Leftover, held: Claim, sink_of: Callable[[Leftover], Sink | None], progress: Progress | None
) -> SyncReport:
    """Send one journal and delete it, unless it is not to be sent from here."""
    try:
        sink = sink_of(item) if item.records else None
        if item.records and sink is None:
            return SyncReport()
        lost = _ship(item, sink, progress)
        sent = (_told(item),)
        if item.foreign:
            left = (replace(item, problem=f"{item.odd}; move it to a folder of its run"),)
            return SyncReport(sent=sent, left=left, lost=lost)
        remove(item.folder)
    except Exception as error:  # an error in one journal must not stop the others
        held.say_why(_words(error))
        for_good = isinstance(error, WireError | RunExists | RunNotFound)
        return SyncReport(left=(replace(_told(item), problem=_words(error), refused=for_good),))
    return SyncReport(sent=sent, lost=lost)


def _ship(item: Leftover, sink: Sink | None, progress: Progress | None) -> int:
    """Send one journal whose folder is claimed. Returns the number of lost records."""
    ack = AckFile(item.folder)
    reader = JournalReader(item.folder, ack.position, recover=True, run_id=item.run_id)
    carrier = Carrier(reader, item.run_id, item.writer)
    done = lost = 0
    try:
        while (part := carrier.load()) is not None:
            assert sink is not None
            try:
                reply = carrier.send(sink, part.first)
            except Exception as error:
                if not carrier.worth_a_try(error):
                    raise
                sleep(_AGAIN_S * carrier.failing)
                continue
            if reply is not None:
                lost += part.lost
                done += part.count
                ack.write(reader.position)
                if progress is not None:
                    progress(item, done)
    finally:
        ack.close()
    return lost


def _told(item: Leftover) -> Leftover:
    """A journal, updated with the records set aside by now."""
    count, why = aside(item.folder)
    return replace(item, aside=count, why_aside=why)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, MonitorError | OSError) else f"{type(error).__name__}: {error}"


def _folders(journal_dir: Path) -> list[Path]:
    if not journal_dir.is_dir():
        return []
    found = [folder for run in journal_dir.iterdir() if run.is_dir() for folder in _writers(run)]
    return sorted(found, key=_age)


def _writers(run_folder: Path) -> list[Path]:
    found = []
    try:
        for folder in run_folder.iterdir():
            if folder.name.startswith(GONE):
                shutil.rmtree(folder, ignore_errors=True)  # the process that was deleting it was killed
            elif folder.is_dir():
                found.append(folder)
    except FileNotFoundError:  # all of it was sent in the meantime
        pass
    except OSError:
        return [run_folder]  # unreadable; reported when it is tried
    return sorted(found, key=_age)


def _age(folder: Path) -> float:
    with suppress(OSError):
        files = segment_files(folder)
        return min((path.stat().st_ctime for _, path in files), default=folder.stat().st_ctime)
    return 0.0


def _look_or_say(folder: Path, *, live: bool | None = None) -> Leftover | None:
    """What a folder holds. An unreadable one is described as such."""
    try:
        return _look(folder, live=live)
    except Exception as error:  # an error in one journal must not stop the others
        return _unreadable(folder, error)


def _unreadable(folder: Path, error: Exception) -> Leftover:
    return Leftover(
        folder=folder, run_id=folder.parent.name, run_name="", project="", writer=folder.name, live=False,
        records=0, points=0, size=0, problem=f"it cannot be read: {_words(error)}", unreadable=True,
    )  # fmt: skip


def _look(folder: Path, *, live: bool | None) -> Leftover | None:
    """What a folder holds; None if it was sent and deleted in the meantime."""
    if live is None:
        held = claim(folder)
        live = held is None
        if held is not None:
            held.release()
    if not folder.is_dir():
        return None
    reader, (records, points, lost) = _remaining(folder)
    note = note_of(folder)
    pid, server, problem = note.get("pid"), note.get("server"), note.get("problem")
    count, why = aside(folder)
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
        aside=count,
        why_aside=why,
        odd="; ".join(reader.oddities()) or None,
        foreign=reader.foreign(),
        writing=live and runs(note),
    )


def _remaining(folder: Path) -> tuple[JournalReader, tuple[int, int, int]]:
    """Like `JournalReader.remaining`, but retries: a live writer's segments may be deleted in the meantime."""
    for _ in range(5):
        reader = JournalReader(folder, read_ack(folder), recover=True, run_id=folder.parent.name)
        with suppress(FileNotFoundError):
            return reader, reader.remaining()
    return reader, (0, 0, 0)
