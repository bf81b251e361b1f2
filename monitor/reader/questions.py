"""What programs and agents ask of runs: the queue, the ledger, events, waits and explanations; a part of `Api`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf
from time import monotonic, sleep
from typing import Any, Final

from monitor.domain import Attention, Happenings, Ledger, Outcome
from monitor.errors import RunNotFound
from monitor.reader.source import Source

_START_S: Final = 0.5
"""Seconds between two looks for a run that has not started yet."""
_WHOLE_ID: Final = re.compile(r"[0-9a-f]{32}")
WAIT_S: Final = 25.0
"""Seconds that a server lets one request wait, at most."""


class Questions:
    """The questions over a source."""

    _source: Source

    def attention(self, limit: int = 10, *, project: str | None = None, sparkline: int = 0) -> Attention:
        """The open runs that need a person, the most urgent first, and the fleet in numbers.

        A run's place is `severity * (1 + burn) * novelty`: how bad it is, what its rest still costs, and how new it is.

        Args:
            limit: runs, at most.
            project: of this one; None: of all.
            sparkline: values of each small curve; 0 for none.
        """
        return self._source.attention(limit, project, sparkline)

    def ledger(self, project: str | None = None, *, since_ms: int = 0, until_ms: int = 2**62) -> Ledger:
        """What stops have saved and lost, by project and month, and stop by stop.

        Args:
            project: of this one; None: of all.
            since_ms: stops from here on, milliseconds since the epoch.
            until_ms: stops until here, exclusive.
        """
        return self._source.ledger(project, since_ms, until_ms)

    def events(self, ref: str, since: str = "", *, wait_s: float = 0.0) -> Happenings:
        """What happened in a run since a cursor: points, findings, advice, stops, alerts, status; each once.

        Args:
            ref: as in `run`.
            since: the `cursor` of the answer before; "" from the beginning.
            wait_s: seconds to wait for something to happen, at most 25.

        Raises:
            RunNotFound: there is no such run.
            WireError: the cursor is not one of this run.
        """
        return self._source.happened(ref, since, wait_s)

    def wait(
        self, *refs: str, until: str | Sequence[str] = "finish", timeout_s: float | None = None, every: bool = False
    ) -> tuple[Outcome, ...]:
        """Wait until something has happened in one of some runs, or in every one of them.

        Args:
            refs: each as in `run`; a whole id may be that of a run that is only about to start.
            until: "finish", "stop" (advised or asked for), "alert", "verdict=NAME", or several of these.
            timeout_s: seconds; None: no limit.
            every: wait for all of the runs instead of the first.

        Returns:
            The runs whose wait is over, each with what happened, or with what None where it ended without that; none
            of them, or some, where the time is up.

        Raises:
            RunNotFound: there is no such run.
            WireError: it is not something to wait for.
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
            some = self._source.outcomes(left, words, wait_s) if left else ()
            found |= {each.run_id: each for each in some}
            left = [run_id for run_id in left if run_id not in found]
            if (some and not every) or monotonic() >= deadline:
                break
            if coming and not left:
                sleep(wait_s)
        return tuple(found.values())

    def _begun(self, refs: Sequence[str]) -> tuple[list[str], list[str]]:
        """The ids of runs that are stored, and whole ids of others: a run that was just started may not be there yet.

        Raises:
            RunNotFound: there is no such run, and it is not a whole id.
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
        """A run explained from what is stored; `text` says it in under 500 tokens.

        Args:
            ref: as in `run`.

        Raises:
            RunNotFound: there is none.
        """
        return self._source.explain(ref)
