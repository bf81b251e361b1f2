"""What a run records besides metrics: checkpoints, alerts, texts, media, its configuration, its loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from monitor import limits
from monitor.run import options

if TYPE_CHECKING:
    from monitor.journal.notices import Notices
    from monitor.losses.examples import ExampleLosses
    from monitor.run.writer import Writer


class About:
    """The part of `Run` that writes events."""

    _loss_known: bool
    _start: Mapping[str, object]
    _writer: Writer | None
    _notices: Notices
    _example_losses: dict[str, ExampleLosses]

    def log(self, data: Mapping[str, object], step: int | None = None) -> None:
        """Log metrics."""
        raise NotImplementedError

    def _step(self) -> int:
        """The step of the last logged record."""
        return 0 if self._writer is None else self._writer.journal.step

    def _event(self, kind: str, data: Mapping[str, object]) -> None:
        """Write an event; never raises."""
        raise NotImplementedError

    def _quietly(self, what: str, call: Callable[[], None]) -> None:
        """Call a function; count what it raises."""
        try:
            call()
        except Exception as error:  # what a run records besides metrics must not break the loop either
            self._notices.count("dropped", what, f"{type(error).__name__}: {limits.text(error)}")

    def checkpoint(self, step: int, path: str | os.PathLike[str]) -> None:
        """Record that the loop saved a checkpoint, so that the best step can be restored.

        Args:
            step: the step it was saved at.
            path: where it is; it replaces an earlier checkpoint at the same path.
        """
        self._event("checkpoint", {"step": step, "path": path})

    def checkpoint_deleted(self, path: str | os.PathLike[str]) -> None:
        """Remove a deleted checkpoint from the list, as when a framework keeps only the best few."""
        self._event("checkpoint", {"path": path, "deleted": True})

    def alert(self, title: str, body: str = "", severity: Literal["critical", "warning", "info"] = "warning") -> None:
        """Send an alert about the run to everyone who receives its alerts.

        Args:
            body: details.
            severity: how urgent it is.
        """
        self._event("alert", {"title": title, "body": body, "severity": severity})

    def log_text(self, text: object, step: int | None = None) -> None:
        """Store a text with the run, such as a generated sample; it is shown with the run's output."""

        def write() -> None:
            whole = limits.text(text)
            for at in range(0, len(whole), limits.MAX_TEXT):
                self._event("output", {"stream": "text", "step": step, "text": whole[at : at + limits.MAX_TEXT]})

        self._quietly("log_text()", write)

    def log_image(self, key: str, image: object, step: int | None = None, *, caption: str = "") -> None:
        """Store an image with the run, such as a sample or a prediction; the run page shows it by step.

        Stored as a PNG of at most 750,000 bytes. A larger one becomes a WebP if Pillow is installed, else it is halved
        until it fits. A run keeps the newest 200 MB of images, tables and histograms.

        Args:
            key: its name, such as `samples/0`.
            image: an array or tensor of shape (h, w), (h, w, c) or (c, h, w), integers of 0 to 255 or floats of 0 to 1;
                a Pillow image, a matplotlib figure, or the path or bytes of an image file.
            step: the step; None: that of the last record.
            caption: a line below it.
        """
        self._media("image", key, step, caption, lambda encode, note: encode.image(image, note))

    def log_table(
        self, key: str, table: object, step: int | None = None, *, columns: Sequence[object] | None = None
    ) -> None:
        """Store a table with the run, such as predictions or a confusion matrix.

        Args:
            table: a data frame, a mapping of columns, a list of mappings, or a list of rows. The first 1,000 rows and
                100 columns are kept.
            step: the step; None: that of the last record.
        """
        self._media("table", key, step, "", lambda encode, note: encode.table(table, columns, note))

    def log_histogram(self, key: str, values: object, step: int | None = None, *, bins: int = 64) -> None:
        """Store the distribution of values, such as weights or gradients.

        Args:
            values: an array, a tensor or a list of numbers of any shape; or a pair of counts and edges, as
                `numpy.histogram` returns it.
            step: the step; None: that of the last record.
            bins: number of bins of equal width, 1 to 512.
        """
        self._media("histogram", key, step, "", lambda encode, note: encode.histogram(values, bins, note))

    def _media(
        self,
        kind: str,
        key: str,
        step: int | None,
        caption: str,
        encoded: Callable[[Any, limits.Note], tuple[str, str]],
    ) -> None:
        """Write an image, a table or a histogram. What cannot be converted is counted with the reason."""

        def write() -> None:
            from monitor.run import media

            try:
                mime, content = encoded(media, self._notices.count)
            except (ValueError, TypeError, ImportError, OSError) as error:
                self._notices.count("media", f"log_{kind}({limits.shown(key)})", limits.text(error))
                return
            at = self._step() if step is None else step
            about = {"key": key, "kind": kind, "step": at, "mime": mime, "caption": caption, "content": content}
            self._event("media", about)

        self._quietly(f"log_{kind}()", write)

    def log_example_losses(
        self,
        ids: object,
        losses: object,
        step: int | None = None,
        *,
        split: str = "train",
        slices: Mapping[str, object] | None = None,
    ) -> None:
        """Log per-example losses: of a batch, or of a whole data set after an epoch.

        A summary is stored each time as many losses have come in as there are examples: the share of the total that the
        largest have, examples that stand apart, and an outlier's share of the gradient. It is also logged as the series
        `examples/<split>/top_share`, `/suspects` and `/gradient_share`. With `slices`, the mean of each slice is
        logged, such as `val/loss{scene=night}`.

        Args:
            ids: n names or numbers of examples, stable across epochs.
            losses: n unreduced losses: a sequence, an array or a tensor.
            split: the data set, such as "train" or "val".
            slices: n values for each property, such as "scene"; the 50 most frequent values of each are logged.
        """

        def write() -> None:
            from monitor.losses.examples import ExampleLosses
            from monitor.run.about import listed, means, series_of

            loss = self._start.get("loss")
            names, values = listed(ids), listed(losses)
            known = self._example_losses.setdefault(split, ExampleLosses(loss if isinstance(loss, Mapping) else None))
            found = known.add(names, values)
            logged = means(split, values, slices or {})
            if found is not None:
                logged |= series_of(split, found)
            if logged:
                self.log(logged, step)
            if found is not None:
                self._event("examples", {"split": split, "step": self._step() if step is None else step, **found})

        self._quietly("log_example_losses()", write)

    def update_config(self, config: object) -> None:
        """Add to the run's configuration; new values replace old ones."""
        self._quietly("update_config()", lambda: self._event("config", {"config": options.config_of(config)}))

    @property
    def loss_known(self) -> bool:
        """True if the loss was given to `init` or to `update_loss`."""
        return self._loss_known

    def update_loss(self, loss: object) -> None:
        """Describe the loss after `init`; ignored if the run already knows it.

        Args:
            loss: as in `init`.
        """

        def write() -> None:
            found = options.loss_of(loss)
            if found is not None and not self._loss_known:
                self._loss_known = True
                self._start = {**self._start, "loss": found}
                self._event("loss", {"loss": found})

        self._quietly("update_loss()", write)

    def update_tags(self, tags: object) -> None:
        """Add tags to the run."""
        self._quietly("update_tags()", lambda: self._event("tags", {"tags": options.tags_of(tags)}))


_SLICES: Final = 50
"""Values of a property whose mean is logged, at most; the most frequent ones."""


def listed(values: object) -> list[Any]:
    """A sequence, an array or a tensor on any device as a list."""
    tolist = getattr(values, "tolist", None)
    found = tolist() if callable(tolist) else list(values)  # type: ignore[call-overload]  # or it raises
    return found if isinstance(found, list) else [found]


def series_of(split: str, found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a summary that are logged as series."""
    names = {"top_share": "top_share", "suspects": "suspect_count", "gradient_share": "gradient_share"}
    return {
        f"examples/{split}/{name}": float(found[field]) for name, field in names.items() if found[field] is not None
    }


def means(split: str, losses: Sequence[float], slices: Mapping[str, object]) -> dict[str, float]:
    """The mean loss of each slice, by series name.

    Args:
        split: the data set, such as "val".
        losses: n losses.
        slices: n values for each property.

    Raises:
        ValueError: a property does not have n values.

    >>> means("val", [1.0, 2.0, 4.0], {"scene": ["day", "night", "night"]})
    {'val/loss{scene=night}': 3.0, 'val/loss{scene=day}': 1.0}
    """
    import numpy as np  # a run that is only journalled does without

    found: dict[str, float] = {}
    values = np.asarray(losses, np.float64)
    for name, given in slices.items():
        groups: dict[Hashable, list[int]] = {}
        each = listed(given)
        if len(each) != len(values):
            raise ValueError(f"slices[{name!r}] has {len(each)} values, there are {len(values)} losses")
        for row, value in enumerate(each):
            groups.setdefault(value, []).append(row)
        largest = sorted(groups.items(), key=lambda group: -len(group[1]))[:_SLICES]
        found |= {f"{split}/loss{{{name}={value}}}": float(values[rows].mean()) for value, rows in largest}
    return found
