"""What a loop says of its run besides numbers: checkpoints, alerts, texts, its configuration, its loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from monitor import limits
from monitor.run import options

if TYPE_CHECKING:
    from monitor.journal.notices import Notices
    from monitor.losses.examples import ExampleLosses
    from monitor.run.writer import Writer


class About:
    """The part of a `Run` that writes events."""

    _loss_known: bool
    _start: Mapping[str, object]
    _writer: Writer | None
    _notices: Notices
    _example_losses: dict[str, ExampleLosses]

    def log(self, data: Mapping[str, object], step: int | None = None) -> None:
        """Log metrics."""
        raise NotImplementedError

    def _step(self) -> int:
        """The step of what was logged last."""
        return 0 if self._writer is None else self._writer.journal.step

    def _event(self, kind: str, data: Mapping[str, object]) -> None:
        """Write an event; never raises."""
        raise NotImplementedError

    def _quietly(self, what: str, call: Callable[[], None]) -> None:
        """Call something; what it raises is counted."""
        raise NotImplementedError

    def checkpoint(self, step: int, path: str | os.PathLike[str]) -> None:
        """Note that the loop saved a checkpoint, so that the best step can be gone back to.

        Args:
            step: the step it was saved at.
            path: where it is; an earlier checkpoint at the same path is removed from the list.
        """
        self._event("checkpoint", {"step": step, "path": path})

    def checkpoint_deleted(self, path: str | os.PathLike[str]) -> None:
        """Remove a deleted checkpoint from the list, as when a framework keeps only the best few."""
        self._event("checkpoint", {"path": path, "deleted": True})

    def alert(self, title: str, body: str = "", severity: Literal["critical", "warning", "info"] = "warning") -> None:
        """Tell whoever listens to the run's alerts.

        Args:
            title: one line.
            body: what else there is to say.
            severity: how much it matters.
        """
        self._event("alert", {"title": title, "body": body, "severity": severity})

    def log_text(self, text: object, step: int | None = None) -> None:
        """Keep a text with the run, such as a sample that a model wrote; it is shown with the run's output.

        Args:
            text: any text; the newest 16 million characters of a run are kept.
            step: the step it belongs to.
        """

        def write() -> None:
            whole = limits.text(text)
            for at in range(0, len(whole), limits.MAX_TEXT):
                self._event("output", {"stream": "text", "step": step, "text": whole[at : at + limits.MAX_TEXT]})

        self._quietly("log_text()", write)

    def log_image(self, key: str, image: object, step: int | None = None, *, caption: str = "") -> None:
        """Keep an image with the run, such as a sample or a prediction; the run's page shows it with its steps.

        It is kept as a PNG of at most 750,000 bytes; a larger one as WebP where Pillow is installed, else with fewer
        pixels. Of a run's images, tables and histograms the newest 200 MB are kept.

        Args:
            key: its name, such as `samples/0`.
            image: an array or tensor (h, w), (h, w, c) or (c, h, w), of integers up to 255 or floats of 0 to 1; an
                image of Pillow, a figure of matplotlib, or the path or bytes of an image file.
            step: the step; None: that of what was logged last.
            caption: a line below it.
        """
        self._media("image", key, step, caption, lambda encode, note: encode.image(image, note))

    def log_table(
        self, key: str, table: object, step: int | None = None, *, columns: Sequence[object] | None = None
    ) -> None:
        """Keep a table with the run, such as predictions or a confusion matrix.

        Args:
            key: its name.
            table: a data frame, a mapping of columns, a list of mappings, or a list of rows; the first 1,000 rows and
                100 columns are kept.
            step: the step; None: that of what was logged last.
            columns: names of the columns, for a list of rows.
        """
        self._media("table", key, step, "", lambda encode, note: encode.table(table, columns, note))

    def log_histogram(self, key: str, values: object, step: int | None = None, *, bins: int = 64) -> None:
        """Keep the distribution of some values with the run, such as weights or gradients.

        Args:
            key: its name.
            values: an array, a tensor or a list of numbers of any shape; or a pair of counts and edges, as
                `numpy.histogram` returns it.
            step: the step; None: that of what was logged last.
            bins: bins of equal width, 1 to 512.
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
        """Write an image, a table or a histogram; what cannot be one is counted with the reason."""

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
        """Log the loss of single examples: of a batch, or of a whole set after an epoch.

        Stored are a summary whenever as many came as there are examples (share of the largest, examples that stand
        apart, an outlier's share of the gradient), the series `examples/<split>/top_share`, `/suspects` and
        `/gradient_share`, and with `slices` the mean of each slice, such as `val/loss{scene=night}`.

        Args:
            ids: n names or numbers of examples, the same ones in every epoch.
            losses: n losses, not reduced: a sequence, an array or a tensor.
            step: the step.
            split: the set that they are of, such as "train" or "val".
            slices: for each property, such as "scene", its n values; 50 different ones of each are logged.
        """

        def write() -> None:
            from monitor.losses.examples import ExampleLosses
            from monitor.run.examples import listed, means, series_of

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
        """Add to the run's configuration; values given before are replaced."""
        self._quietly("update_config()", lambda: self._event("config", {"config": options.config_of(config)}))

    @property
    def loss_known(self) -> bool:
        """True if the loss was given to `init` or to `update_loss`."""
        return self._loss_known

    def update_loss(self, loss: object) -> None:
        """Say what is known of the loss, as `init(loss=...)` does; what a run knows already stays.

        Args:
            loss: as for `init`.
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
