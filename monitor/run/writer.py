"""One process's share of a run: its journal, the threads that maintain it, and the lock on its folder."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING

from monitor.domain import Reply
from monitor.errors import SettingsError
from monitor.http.address import shown
from monitor.journal.claim import claim, remove
from monitor.journal.notices import LOGGER, Notices
from monitor.journal.write.journal import Journal
from monitor.run.background import Keeper
from monitor.run.device import DeviceQueue
from monitor.run.naming import writer_name
from monitor.settings import Settings
from monitor.shipping import courier
from monitor.shipping.shipper import Shipper
from monitor.shipping.sinks import Destination

if TYPE_CHECKING:
    from monitor.shipping.sinks import Sink


class Writer:
    """Writes to a run, and ships what was written.

    Args:
        settings: where the journal is, and the intervals.
        start: data of the first record, the `run` event.
        notices: counts what is set aside.
        open_sink: creates the sink, in the shipper's thread; None: points stay in the journal.
        server: the server the run is meant for; None: the embedded store, or any server.
        on_links: called once with the addresses of the services next to the server.
        rng: for the writer's name.

    Raises:
        SettingsError: the journal cannot be created.
    """

    def __init__(
        self,
        settings: Settings,
        run_id: str,
        start: Mapping[str, object],
        notices: Notices,
        *,
        open_sink: Callable[[], Sink] | None,
        server: str | None,
        on_reply: Callable[[Reply], None],
        on_links: Callable[[Mapping[str, str]], None],
        rng: random.Random,
    ) -> None:
        self.name = writer_name(os.getpid(), rng)
        self.folder = settings.journal_dir / run_id / self.name
        self._open_sink = open_sink
        embedded = open_sink is not None and server is None
        note: dict[str, object] = {"project": start["project"], "run": start["name"] or "", "embedded": embedded}
        note |= {"server": None if server is None else shown(server), "offline": open_sink is None}
        note["start"] = {key: start.get(key) for key in ("name", "group", "resume", "heartbeat_s", "join")}
        try:
            self._claim = claim(self.folder, note)
            self.journal = Journal(self.folder, run_id, quota=settings.journal_quota_mb << 20)
        except OSError as error:
            raise SettingsError(
                "dir", f"no journal can be written to {self.folder} ({error})", "name another"
            ) from None
        self.notices = notices
        self.devices = DeviceQueue(self.journal, notices)
        system = "system" in settings.capture and not start.get("join")  # one writer per run samples the machine
        self.keeper = Keeper(self.journal, self.devices, notices, settings.fsync_interval_s, system=system)
        joins = bool(start.get("join"))
        self.shipper: Shipper | None = None
        if isinstance(open_sink, Destination) and settings.shipper == "process" and courier.possible():
            self.shipper = courier.CourierShipment(
                self.folder, run_id, self.name, open_sink, on_reply=on_reply, on_links=on_links, joins=joins
            )
        elif open_sink is not None:
            self.shipper = Shipper(
                self.folder,
                run_id,
                self.name,
                open_sink,
                interval_s=settings.ship_interval_s,
                heartbeat_s=settings.heartbeat_s,
                on_reply=on_reply,
                on_links=on_links,
                joins=joins,
                rng=rng,
            )
        self.journal.event("run", start)
        self.keeper.start()
        if self.shipper is not None:
            self.shipper.start()

    def flush(self, timeout_s: float, *, patient: bool = True) -> bool:
        """Wait until everything logged so far is stored; False on a timeout.

        Args:
            timeout_s: seconds to wait, at most.
            patient: False: return at once if the receiver fails now or was failing before.
        """
        if self.shipper is None or (not patient and self.shipper.trouble is not None):
            return False
        self.devices.resolve(wait=True)
        return self.shipper.drain(self.journal.count, timeout_s, patient=patient)

    def finish(self, last: Mapping[str, object] | None, timeout_s: float) -> bool:
        """Write the last record, send what is left, and close.

        Args:
            last: data of the `finish` event; None for an additional writer, which does not end the run.
            timeout_s: seconds to wait for unsent points, at most.

        Returns:
            True if everything is stored; the folder is then deleted.
        """
        deadline = monotonic() + timeout_s
        with contextlib.suppress(Exception):  # a device may be lost by now
            self.devices.resolve(wait=True)
        self.keeper.stop()
        self.keeper.finish()
        if last is not None:
            self._ship_siblings(deadline)
        # Release the space reserved for the end of the run; `keeper.finish` has used the part for notices.
        self.journal.open_last(2)
        if last is not None:
            self._write_end(last)
        self.keeper.finish_summed()
        total = self.journal.count
        stored = self.shipper is not None and self.shipper.drain(total, max(0.0, deadline - monotonic()))
        # If something is unsent, the time of `timeout_s` is used up: do not wait for the receiver again.
        ended = self.shipper is None or self.shipper.stop(0.5 if not stored else 5.0)
        if not stored:
            with contextlib.suppress(OSError):
                self.journal.sync(all_of_it=True)
            self._say_left(total)
            if self._claim is not None and self.shipper is not None:
                why = self.shipper.refused or self.shipper.trouble
                self._claim.say_why(str(why) if why else None)
        self.journal.close(remove=stored and ended)
        if stored and ended:
            remove(self.folder)
        if self._claim is not None:
            self._claim.release()
        return stored

    def _write_end(self, last: Mapping[str, object]) -> None:
        """Write the end of the run. On a full disk only a short record fits, so its texts are cut until it does."""
        for most in (2000, 500, 100, 0):
            cut = {
                key: value[:most] or None if isinstance(value, str) and key != "status" else value
                for key, value in last.items()
            }
            if self.journal.event("finish", cut):
                return
        LOGGER.warning("run %s: its end cannot be written to %s", self.journal.run_id[:8], self.folder)

    def discard(self) -> None:
        """Close and delete the journal of a run that was refused at its start."""
        self.keeper.stop()
        if self.shipper is not None:
            self.shipper.stop()
        self.journal.close(remove=True)
        remove(self.folder)
        if self._claim is not None:
            self._claim.release()

    def _ship_siblings(self, deadline: float) -> None:
        """Send what additional writers of this run left behind when their processes ended."""
        with contextlib.suppress(Exception):  # the rest stays for `monitor sync`
            if self._open_sink is None or len(list(self.folder.parent.iterdir())) < 2:
                return
            from monitor.shipping.sync import ship_run

            ship_run(self.folder.parent, self._open_sink, until=deadline)

    def _say_left(self, total: int) -> None:
        if self.shipper is None:
            LOGGER.info("%d records are in %s; `monitor sync` sends them", total, self.folder)
            return
        why = self.shipper.refused or self.shipper.trouble
        LOGGER.warning(
            "%d of %d records are not sent yet%s; they are safe in %s and `monitor sync` sends them",
            total - self.shipper.acked,
            total,
            f" ({why})" if why else "",
            self.folder,
        )
