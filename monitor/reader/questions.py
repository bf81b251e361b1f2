"""The part of `Api` for questions of programs and agents: attention, ledger, events, waiting, explanations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf
from time import monotonic, sleep
from typing import Any, Final

from monitor.domain import Attention, Happenings, Ledger, Outcome
from monitor.errors import RunNotFound
from monitor.reader.server import segment
from monitor.reader.source import Source, now_ms

_START_S: Final = 0.5
"""Seconds between checks for a run that has not started yet."""
_WHOLE_ID: Final = re.compile(r"[0-9a-f]{32}")
WAIT_S: Final = 25.0
"""Seconds that a server lets one request wait, at most."""


class Questions:
    """Questions over a source."""

    _source: Source

    def attention(self, limit: int = 10, *, project: str | None = None, sparkline: int = 0) -> Attention:
        """The open runs that need a person, most urgent first, and summary numbers of all runs.

        The urgency is `severity * (1 + burn) * novelty`: how bad it is, what the rest of the run would cost, how new it
        is.

        Args:
            sparkline: points per sparkline; 0: none.
        """
        source = self._source
        if source.server:
            query = {"limit": limit, "project": project, "sparkline": sparkline}
            return source.server.ask(Attention, "/attention", query)
        from monitor import insight

        return insight.attention(
            source.store, source.settings, now_ms=now_ms(), limit=limit, project=project, sparkline=sparkline
        )

    def ledger(self, project: str | None = None, *, since_ms: int = 0, until_ms: int = 2**62) -> Ledger:
        """What stops have saved and lost: by project, by month, and for each stop.

        Args:
            since_ms: start of the period, in ms since the Unix epoch.
            until_ms: end of the period, exclusive.
        """
        source = self._source
        if source.server:
            return source.server.ask(Ledger, "/ledger", {"project": project, "since": since_ms, "until": until_ms})
        from monitor import insight

        return insight.ledger(source.store, source.settings, project=project, since_ms=since_ms, until_ms=until_ms)

    def events(self, ref: str, since: str = "", *, wait_s: float = 0.0) -> Happenings:
        """What happened in a run since a cursor, each event once: points, findings, advice, stops, alerts, status.

        Args:
            since: the `cursor` of the previous answer; "": from the beginning.
            wait_s: seconds to wait for an event, at most 25.

        Raises:
            WireError: the cursor does not belong to this run.
        """
        if server := self._source.server:
            query = {"since": since, "wait": wait_s}
            return server.ask(Happenings, f"/runs/{segment(ref)}/events", query)
        from monitor import insight

        return insight.wait_for_events(self._source.store, ref, since, wait_s)

    def wait(
        self, *refs: str, until: str | Sequence[str] = "finish", timeout_s: float | None = None, every: bool = False
    ) -> tuple[Outcome, ...]:
        """Wait for something to happen in one of several runs, or in all of them.

        Args:
            refs: each as in `run`; a full id may belong to a run that has not started yet.
            until: "finish", "stop" (advised or requested), "alert", "verdict=NAME", or several of these.
            timeout_s: seconds to wait; None: no limit.
            every: True: wait for all runs, not just the first.

        Returns:
            The runs whose wait is over, each with what happened; None if a run ended without it. On a timeout, some
            runs or none.
        """
        words = [until] if isinstance(until, str) else list(until)
        deadline = inf if timeout_s is None else monotonic() + timeout_s
        found: dict[str, Outcome] = {}
        left: list[str] = []
        coming = list(dict.fromkeys(refs))
        while left or coming:
            begun, coming = self._begun(coming)
            left += [run_id for run_id in begun if run_id not in left]
            wait_s = max(0.0, min(_START_S if coming else WAIT_S, deadline - monotonic()))
            some = self._outcomes(left, words, wait_s) if left else ()
            found |= {each.run_id: each for each in some}
            left = [run_id for run_id in left if run_id not in found]
            if (some and not every) or monotonic() >= deadline:
                break
            if coming and not left:
                sleep(wait_s)
        return tuple(found.values())

    def _outcomes(self, run_ids: Sequence[str], until: Sequence[str], wait_s: float) -> tuple[Outcome, ...]:
        """The runs for which one wait, of at most `WAIT_S`, is over."""
        source = self._source
        if source.server:
            query = {"run": list(run_ids), "for": list(until), "wait": wait_s}
            return source.server.ask(tuple[Outcome, ...], "/wait", query, part="outcomes")
        from monitor import insight

        if source.settings.database_url is None:  # without a server, nobody else reports killed runs
            from monitor.ingest import liveness

            liveness.check(source.store, source.settings, now_ms(), quiet=True)
            wait_s = min(wait_s, source.settings.liveness_interval_s)
        found = [source.store.run(run_id).id for run_id in run_ids]  # one may be deleted meanwhile
        return insight.wait_for_outcomes(source.store, found, insight.until_of(until), wait_s)

    def _begun(self, refs: Sequence[str]) -> tuple[list[str], list[str]]:
        """The ids of stored runs, and the full ids of others, which may not have started yet.

        Raises:
            RunNotFound: there is no such run, and the reference is not a full id.
        """
        begun, coming = [], []
        for ref in refs:
            try:
                begun.append(self._source.run(ref).id)
            except RunNotFound:
                if not _WHOLE_ID.fullmatch(ref.strip()):
                    raise
                coming.append(ref)
        return begun, coming

    def explain(self, ref: str) -> Mapping[str, Any]:
        """Explain a run from stored data; `text` is a summary in under 500 tokens."""
        if server := self._source.server:
            return server.ask(dict[str, Any], f"/runs/{segment(ref)}/explain")
        from monitor import insight

        return insight.explain(self._source.store, self._source.settings, ref, now_ms=now_ms())
