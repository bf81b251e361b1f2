"""`RunView`: one run, as returned by `Api.run`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from monitor.domain import (
    Checkpoint,
    Curve,
    Diagnosis,
    Finding,
    Output,
    Points,
    RunEdit,
    RunInfo,
    Saving,
    SeriesInfo,
    Stop,
)
from monitor.domain.media import Media
from monitor.reader.tables import figure_of, view_html

if TYPE_CHECKING:
    from monitor.reader.source import Source
    from monitor.wire import Event

XAxis = Literal["step", "epoch", "wall_time", "relative"]


class RunView:
    """One run, for reading. Every call reads current data.

    Attributes:
        info: the run as of the last `refresh`.
    """

    def __init__(self, source: Source, info: RunInfo) -> None:
        self._source = source
        self.info = info

    @property
    def id(self) -> str:
        """The run's id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The run's name."""
        return self.info.name

    def refresh(self) -> RunInfo:
        """Reload `info`."""
        self.info = self._source.run(self.id)
        return self.info

    def series(self) -> tuple[SeriesInfo, ...]:
        """The run's series with their number of points, last values and extremes."""
        if server := self._source.server:
            return server.ask(tuple[SeriesInfo, ...], f"/runs/{self.id}/series")
        return self._source.store.series(self.id)

    def history(self, key: str, *, lo: int | None = None, hi: int | None = None, attempt: int | None = None) -> Points:
        """Every point of a series, ordered by step.

        Args:
            hi: last step, inclusive.
            attempt: only this attempt's points; None: the newest attempt where several overlap.
        """
        if self._source.server:
            return Points.join(list(self.batches(key, lo=lo, hi=hi, attempt=attempt)))
        return self._source.store.history(self.id, key, lo=lo, hi=hi, attempt=attempt)

    def batches(
        self, key: str, *, lo: int | None = None, hi: int | None = None, attempt: int | None = None
    ) -> Iterator[Points]:
        """The points of `history` in batches, for series that do not fit into memory.

        A server streams them as Arrow if pyarrow is installed here; otherwise everything arrives at once. The read
        transaction stays open until the last batch is taken, so do not pause in between.

        Args:
            hi: last step, inclusive.
            attempt: as in `history`.

        Raises:
            SeriesNotFound: the run has no such series; raised with the first batch.
        """
        if server := self._source.server:
            return server.batches(self.id, {"key": key, "lo": lo, "hi": hi, "attempt": attempt})
        return self._source.store.history_batches(self.id, key, lo=lo, hi=hi, attempt=attempt)

    def curve(
        self,
        key: str,
        *,
        width: int = 2000,
        x: XAxis = "step",
        lo: float | None = None,
        hi: float | None = None,
        smoothing: float = 0.0,
    ) -> Curve:
        """A series reduced to what a screen can show.

        Args:
            x: the axis: steps, epochs, ms since the Unix epoch, or seconds since the run's start.
            lo: left end of the window, on the x axis.
            smoothing: weight of the moving average, in [0, 1).
        """
        if server := self._source.server:
            query = {"key": key, "x": x, "lo": lo, "hi": hi, "width": width, "smoothing": smoothing}
            return server.curve(self.id, query)
        return self._source.store.curve(self.id, key, x=x, lo=lo, hi=hi, width=width, smoothing=smoothing)

    def positions(self, keys: Sequence[str], steps: Sequence[int], *, x: XAxis) -> tuple[float | None, ...]:
        """The positions of steps on an axis.

        Args:
            keys: series to look in, in order, for a point at the step.
            steps: any steps.
            x: the axis, as in `curve`.

        Returns:
            An x value for each step; None if no series has a point there, or the point has no epoch.
        """
        # The store's steps have 64 bits: a larger one has no point, and a database would refuse it.
        known = [step for step in dict.fromkeys(steps) if -(2**63) <= step < 2**63]
        if not keys or not known:
            return (None,) * len(steps)
        if server := self._source.server:
            places = server.positions(self.id, keys, known, x)
        else:
            places = self._source.store.positions(self.id, keys, known, x=x)
        found = dict(zip(known, places, strict=True))
        return tuple(found.get(step) for step in steps)

    def findings(self) -> tuple[Finding, ...]:
        """The findings of the rules, firing and resolved."""
        if server := self._source.server:
            return server.ask(tuple[Finding, ...], f"/runs/{self.id}/findings")
        return self._source.store.findings(self.id)

    def diagnosis(self) -> Diagnosis:
        """The diagnosis: verdict, findings and recommendation."""
        if server := self._source.server:
            return server.ask(Diagnosis, f"/runs/{self.id}/diagnosis")
        return self._source.store.diagnosis(self.id)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints that the loop saved."""
        if server := self._source.server:
            return server.ask(tuple[Checkpoint, ...], f"/runs/{self.id}/checkpoints")
        return self._source.store.checkpoints(self.id)

    def events(self) -> tuple[Event, ...]:
        """The run's events, in order; points are not events."""
        from monitor.wire import Event  # here, because it loads NumPy

        if server := self._source.server:
            return server.ask(tuple[Event, ...], f"/runs/{self.id}/events")
        return self._source.store.events(self.id)

    def output(self, search: str | None = None, *, after: int = -1, limit: int = 1000) -> tuple[Output, ...]:
        """The captured standard output and error, and logged texts.

        Args:
            after: only pieces after the one with this id; negative: the last ones.
        """
        if server := self._source.server:
            query = {"search": search, "after": after, "limit": limit}
            return server.ask(tuple[Output, ...], f"/runs/{self.id}/output", query)
        return self._source.store.output(self.id, search, after, limit)

    def media(self, key: str | None = None) -> tuple[Media, ...]:
        """Logged images, tables and histograms by name and step, without their contents.

        Args:
            key: only those with this name.
        """
        if server := self._source.server:
            return server.ask(tuple[Media, ...], f"/runs/{self.id}/media", {"key": key})
        return self._source.store.media(self.id, key)

    def media_content(self, media: Media | int) -> bytes:
        """The content of an image (PNG or WebP), or of a table or histogram (JSON).

        A table is `{"columns": [...], "rows": [[...]]}`; a histogram is `{"edges": [...], "counts": [...]}` with
        statistics.

        Args:
            media: one of `media()`, or its id.

        Raises:
            MediaNotFound: the run has none with this id, or no longer.
        """
        media_id = media if isinstance(media, int) else media.id
        if server := self._source.server:
            return server.content(f"/runs/{self.id}/media/{media_id}")
        return self._source.store.media_content(self.id, media_id)[1]

    def edit(
        self, *, name: str | None = None, note: str | None = None, tags: Mapping[str, str | None] | None = None
    ) -> RunInfo:
        """Change the run's name, note or tags; None leaves one as it is.

        Args:
            note: the new note, as Markdown; "" removes it.
            tags: values by tag; None removes a tag.

        Returns:
            The changed run, also stored in `info`.

        Raises:
            WireError: the name is empty, a text is too long, or the run would have too many tags.
        """
        edit = RunEdit(name=name, note=note, tags=dict(tags or {}))
        if server := self._source.server:
            self.info = server.ask(RunInfo, f"/runs/{self.id}", method="PATCH", body=asdict(edit))
            return self.info
        self._source.store.edit(self.id, edit, **self._source.stamp())
        return self.refresh()

    def request_stop(self, who: str, reason: str = "") -> Stop:
        """Ask the loop to stop. The request travels with the reply to its next batch or heartbeat.

        Args:
            who: who asks; shown to the loop's owner.

        Returns:
            The stop request; the existing one if the loop was already asked. `stops` shows its state.
        """
        if server := self._source.server:
            body = {"who": who, "reason": reason}
            return server.ask(Stop, f"/runs/{self.id}/stop", part="stop", method="POST", body=body)
        return self._source.store.request_stop(self.id, who, reason=reason, **self._source.stamp())

    def withdraw_stop(self, who: str) -> Stop:
        """Withdraw a stop request that the loop has not received yet.

        Raises:
            StopRefused: there is none, or the loop has received it.
        """
        if server := self._source.server:
            return server.ask(Stop, f"/runs/{self.id}/stop", {"who": who}, part="stop", method="DELETE")
        return self._source.store.withdraw_stop(self.id, who, **self._source.stamp())

    def saving(self) -> Saving:
        """What stopping the run now would save, with all numbers used to compute it."""
        if server := self._source.server:
            return server.ask(Saving, f"/runs/{self.id}/saving")
        from monitor import insight

        return insight.saving_of(self._source.store, self._source.settings, self.id)

    def stops(self) -> tuple[Stop, ...]:
        """The run's stops, requested or advised and obeyed, each with its state."""
        if server := self._source.server:
            return server.ask(tuple[Stop, ...], f"/runs/{self.id}/stops")
        return self._source.store.stops(self.id)

    def plot(self, keys: Sequence[str] | None = None, *, smoothing: float = 0.0) -> Any:
        """Curves as a Plotly figure.

        Args:
            keys: the series; None: the training and validation loss.
            smoothing: weight of the moving average, in [0, 1).
        """
        return figure_of(self, keys, smoothing)

    def _repr_html_(self) -> str:
        return view_html(self)

    def __repr__(self) -> str:
        return f"<RunView {self.info.project}/{self.info.name} {self.id[:8]} {self.info.verdict}>"
