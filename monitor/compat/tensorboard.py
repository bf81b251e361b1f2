"""`SummaryWriter` with the API of `torch.utils.tensorboard.SummaryWriter` (and of tensorboardX)."""

# ruff: noqa: ARG002  # TensorBoard defines the arguments

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from monitor.compat._media import Once
from monitor.run.start import Run, ending, init

_NOT_KEPT: Final = (
    "add_audio", "add_custom_scalars", "add_custom_scalars_marginchart", "add_custom_scalars_multilinechart",
    "add_embedding", "add_graph", "add_histogram_raw", "add_image_with_boxes", "add_mesh", "add_onnx_graph",
    "add_openvino_graph", "add_pr_curve", "add_pr_curve_raw", "add_tensor", "add_video",
)  # fmt: skip
"""Calls that are accepted but whose data is dropped."""
_IMAGES: Final = 16
"""Images stored per call, at most."""


class SummaryWriter:
    """Logs scalars, images and histograms to a run instead of event files. `log_dir` names the run.

    What a run cannot store, such as audio and graphs, is dropped with one warning for each kind.

    Args:
        log_dir: by default `runs/...`; its last part names the run, the part before it the project.
        comment: the run's name if there is no `log_dir`.
        purge_step, max_queue, flush_secs, filename_suffix: accepted, without effect: a point is durable when
        `add_scalar`
            returns, and repeated steps belong to a new attempt or are the same ones.
        run: a run that the caller ends; None: start one, and end it in `close`.
        **options: as in `monitor.init`, such as `project`, `name`, `config`, `tags` and `run_id`.

    Attributes:
        run: the run.
        log_dir: a folder for the script's own files, created on first access; by default `runs/` and the run's name.

    Example:
        >>> with SummaryWriter("runs/first", mode="disabled") as writer:
        ...     writer.add_scalar("Loss/train", 0.5, 0)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        *,
        run: Run | None = None,
        **options: Any,
    ) -> None:
        self._log_dir = os.fspath(log_dir) if log_dir else ""
        self._once = Once("SummaryWriter")
        if purge_step is not None:
            self._once.say("purge_step", "has no effect; resume a run with run_id= and resume='allow'")
        self._owned = run is None
        self.run = run if run is not None else init(**_named(self._log_dir, comment, options))
        self._steps: dict[str, int] = {}

    @property
    def log_dir(self) -> str:
        """A folder for the script's own files, such as checkpoints. Created on access."""
        self._log_dir = self._log_dir or str(Path("runs", self.run.name))
        with contextlib.suppress(OSError):  # the script's own writes will report the problem
            Path(self._log_dir).mkdir(parents=True, exist_ok=True)
        return self._log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: object,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
        summary_description: str = "",
        display_name: str = "",
    ) -> None:
        """Log a number.

        Args:
            scalar_value: a number, or an array or tensor with one element, on any device.
            global_step: the step; None: the one after the tag's last, starting from 0.
            walltime: seconds since the Unix epoch; None: now.
            new_style, double_precision, summary_description, display_name: accepted, without effect.
        """
        self.run.log({tag: scalar_value}, step=self._step(tag, global_step), time=walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, object],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log numbers under `main_tag/tag`."""
        row = {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}
        self.run.log(row, step=self._step(main_tag, global_step), time=walltime)

    def add_text(
        self, tag: str, text_string: object, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Store a text in the run's configuration as `text/<tag>`; a later text with the same tag replaces it."""
        self.run.update_config({f"text/{tag}": str(text_string)})

    def add_image(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:  # fmt: skip
        """Store an image with the run.

        Args:
            img_tensor: an array or tensor of bytes, or of floats of 0 to 1.
            global_step: the step; None: that of the last record.
            walltime: accepted, without effect.
            dataformats: the order of its axes, such as "CHW", "HWC" or "HW".
        """
        axes = [dataformats.upper().find(axis) for axis in "HWC"]
        if getattr(img_tensor, "ndim", 0) == len(dataformats) and -1 not in axes[:2]:
            permute = getattr(img_tensor, "permute", None) or getattr(img_tensor, "transpose", None)
            img_tensor = permute(*(at for at in axes if at >= 0)) if callable(permute) else img_tensor
        self.run.log_image(tag, img_tensor, global_step)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:  # fmt: skip
        """Store the first images of a batch with the run, as `<tag>/<number>`."""
        for at, image in zip(range(_IMAGES), img_tensor, strict=False):
            self.add_image(f"{tag}/{at}", image, global_step, walltime, dataformats.upper().replace("N", ""))

    def add_figure(
        self, tag: str, figure: Any, global_step: int | None = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """Store a matplotlib figure, or the first of several, with the run, and close them."""
        figures = list(figure) if isinstance(figure, list | tuple) else [figure]
        for at, each in enumerate(figures[:_IMAGES]):
            self.run.log_image(tag if len(figures) == 1 else f"{tag}/{at}", each, global_step)
        pyplot = sys.modules.get("matplotlib.pyplot")
        for each in figures if close and pyplot is not None else ():
            pyplot.close(each)  # type: ignore[union-attr]  # as was asked

    def add_histogram(
        self, tag: str, values: object, global_step: int | None = None, bins: object = "tensorflow",
        walltime: float | None = None, max_bins: int | None = None,
    ) -> None:  # fmt: skip
        """Store the distribution of values with the run, in bins of equal width."""
        self.run.log_histogram(tag, values, global_step, bins=bins if isinstance(bins, int) else max_bins or 64)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, object],
        metric_dict: Mapping[str, object],
        hparam_domain_discrete: object = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Add hyperparameters to the run's configuration, and log the resulting metrics."""
        self.run.update_config(dict(hparam_dict))
        for tag, value in metric_dict.items():
            self.add_scalar(tag, value, global_step)

    def get_logdir(self) -> str:
        """The same as `log_dir`."""
        return self.log_dir

    def flush(self) -> None:
        """Wait up to five seconds for everything logged to be stored. It is durable on disk before that."""
        self.run.flush(5.0)

    def close(self) -> None:
        """End the run if it was started here."""
        if self._owned:
            self.run.finish()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.run.finish(*ending(error))

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in _NOT_KEPT:
            known = "add_scalar, add_scalars, add_text, add_hparams, add_image, add_figure and add_histogram"
            raise AttributeError(f"SummaryWriter has no {name!r}; of TensorBoard's calls it has {known}")

        def left_out(*_: object, **__: object) -> None:
            self._once.say(name, "is not kept: a run holds numbers, texts, images and histograms")

        return left_out

    def _step(self, tag: str, given: Any) -> int | None:
        step = self._steps.get(tag, -1) + 1 if given is None else given
        try:
            self._steps[tag] = int(step)
        except (TypeError, ValueError, OverflowError):  # `log` reports what is wrong with it
            return given  # type: ignore[no-any-return]  # whatever it is
        return self._steps[tag]


def _named(log_dir: str, comment: str, options: dict[str, Any]) -> dict[str, Any]:
    """Arguments for `init`: project and name default to the last two parts of the folder."""
    parts = [part for part in Path(log_dir).parts if part not in ("/", "..", ".", "runs")]
    named = {"project": parts[-2] if len(parts) > 1 else "tensorboard", "name": parts[-1] if parts else None}
    if comment and not parts:
        named["name"] = comment.strip("_- ") or None
    return {**named, **options}
