"""`RunView`: one run, as `Api.run` reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from monitor.reader.source import Source
from monitor.reader.tables import figure_of, view_html

if TYPE_CHECKING:
    from monitor.domain.media import Media
    from monitor.wire import Event

XAxis = Literal["step", "epoch", "wall_time", "relative"]


class RunView:
    """One run as a reader sees it; each call reads anew.

    Attributes:
        info: the run as it was when the view was made; `refresh` reads it again.
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
        """Read `info` again."""
        self.info = self._source.run(self.id)
        return self.info

    def series(self) -> tuple[SeriesInfo, ...]:
        """The run's series with their counts, last values and extremes."""
        return self._source.series(self.id)

    def history(self, key: str, *, lo: int | None = None, hi: int | None = None, attempt: int | None = None) -> Points:
        """Every point of a series, in the order of their steps.

        Args:
            key: the series.
            lo: first step.
            hi: last step, inclusive.
            attempt: points of this attempt alone; None: the newest where attempts overlap.

        Raises:
            SeriesNotFound: the run has no such series.
        """
        return self._source.history(self.id, key, lo, hi, attempt)

    def batches(
        self, key: str, *, lo: int | None = None, hi: int | None = None, attempt: int | None = None
    ) -> Iterator[Points]:
        """What `history` reads, some at a time, for series that do not fit into memory.

        A server streams them as Arrow where pyarrow is installed here; without it everything comes at once. The read
        transaction lasts until the last batch was taken: do not keep it waiting.

        Args:
            key: the series, and so on as in `history`.

        Raises:
            SeriesNotFound: when the first batch is asked for; the run has no such series.
        """
        return self._source.batches(self.id, key, lo, hi, attempt)

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
        """A series reduced to what a screen shows.

        Args:
            key: the series.
            width: pixels that it is drawn on.
            x: the axis: steps, epochs, milliseconds since the epoch, or seconds since the run's start.
            lo: left end of the window, on the x axis.
            hi: right end.
            smoothing: weight of the moving average, in [0, 1).

        Raises:
            SeriesNotFound: the run has no such series.
        """
        return self._source.curve(self.id, key, {"x": x, "lo": lo, "hi": hi, "width": width, "smoothing": smoothing})

    def positions(self, keys: Sequence[str], steps: Sequence[int], *, x: XAxis) -> tuple[float | None, ...]:
        """Where steps stand on an axis.

        Args:
            keys: series that are asked one after the other, until one has a point at the step.
            steps: any.
            x: the axis, as in `curve`.

        Returns:
            An x for each step; None where no series has a point there, or the point no epoch.

        Raises:
            SeriesNotFound: the run has no such series.
        """
        known = [step for step in dict.fromkeys(steps) if -(2**63) <= step < 2**63]
        if not keys or not known:
            return (None,) * len(steps)
        found = dict(zip(known, self._source.positions(self.id, keys, known, x), strict=True))
        return tuple(found.get(step) for step in steps)

    def findings(self) -> tuple[Finding, ...]:
        """What the rules found, firing and resolved."""
        return self._source.findings(self.id)

    def diagnosis(self) -> Diagnosis:
        """The whole judgement."""
        return self._source.diagnosis(self.id)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The files that the loop saved."""
        return self._source.checkpoints(self.id)

    def events(self) -> tuple[Event, ...]:
        """What happened in the run besides points, in order."""
        return self._source.events(self.id)

    def output(self, search: str | None = None, *, after: int = -1, limit: int = 1000) -> tuple[Output, ...]:
        """What the training wrote to its standard output and error, where that was captured, and logged as text.

        Args:
            search: only pieces that hold this text, in any case of its letters.
            after: only pieces behind this one, by its id; negative: the last ones.
            limit: pieces, at most.
        """
        return self._source.output(self.id, search, after, limit)

    def media(self, key: str | None = None) -> tuple[Media, ...]:
        """The images, tables and histograms that the training logged, by name and step, without their contents.

        Args:
            key: only those of this name.
        """
        return self._source.media(self.id, key)

    def media_content(self, media: Media | int) -> bytes:
        """The content of one of them: a PNG or WebP file, or JSON.

        A table is `{"columns": [...], "rows": [[...]]}`, a histogram `{"edges": [...], "counts": [...]}` and its
        statistics.

        Args:
            media: one of `media()`, or its id.

        Raises:
            MediaNotFound: the run has none of this id, or no longer.
        """
        return self._source.media_content(self.id, media if isinstance(media, int) else media.id)

    def edit(
        self, *, name: str | None = None, note: str | None = None, tags: Mapping[str, str | None] | None = None
    ) -> RunInfo:
        """Change the run's name, note or tags; what is not given stays as it is.

        Args:
            name: its new name.
            note: its note, as Markdown; "" takes it away.
            tags: values by tag; None takes a tag away.

        Returns:
            The run as it is then; `info` is that too.

        Raises:
            WireError: the name is empty, a text is too long, or the run would have too many tags.
        """
        self.info = self._source.edit(self.id, RunEdit(name=name, note=note, tags=dict(tags or {})))
        return self.info

    def request_stop(self, who: str, reason: str = "") -> Stop:
        """Ask the loop to stop; it receives that with the answer to its next batch or heartbeat.

        Args:
            who: who asks, shown to the loop's owner.
            reason: why, in a sentence.

        Returns:
            The stop; the one that is open where the loop was asked before. `stops` says how far it is.

        Raises:
            StopRefused: the run has ended.
        """
        return self._source.request_stop(self.id, who, reason)

    def withdraw_stop(self, who: str) -> Stop:
        """Take a stop back that the loop has not received yet.

        Raises:
            StopRefused: none is open, or the loop has received it.
        """
        return self._source.withdraw_stop(self.id, who)

    def saving(self) -> Saving:
        """What ending the run now would save, with every number that it is made from."""
        return self._source.saving(self.id)

    def stops(self) -> tuple[Stop, ...]:
        """The stops of the run: asked for, or advised and obeyed; each with how far it is."""
        return self._source.stops(self.id)

    def plot(self, keys: Sequence[str] | None = None, *, smoothing: float = 0.0) -> Any:
        """Curves as a Plotly figure.

        Args:
            keys: the series; None for the judged losses.
            smoothing: weight of the moving average, in [0, 1).

        Raises:
            ModuleNotFoundError: Plotly is not installed.
            SeriesNotFound: the run has no such series.
        """
        return figure_of(self, keys, smoothing)

    def _repr_html_(self) -> str:
        return view_html(self)

    def __repr__(self) -> str:
        return f"<RunView {self.info.project}/{self.info.name} {self.id[:8]} {self.info.verdict}>"
