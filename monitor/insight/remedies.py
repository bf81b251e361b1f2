"""Remedies for overfitting, from the run's configuration: what is set, what is not, and what to try first.

Settings that are off or missing come first, because changing them takes one line; then settings that can be raised;
then the model and the data. Nothing is guessed: each remedy is based on a configuration entry, on a missing one, or on
the run's own steps.

Source:
    Goodfellow, Bengio, Courville, Deep Learning (2016), chapter 7; each remedy names its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from monitor.domain import FindingState, RunInfo, RunSnapshot
from monitor.domain.formats import plain, step
from monitor.domain.plain import leaves
from monitor.losses.specs.run_config import terms_of

_RANK: Final = {"off": 0, "not set": 0, "measured": 1, "set": 2}
"""Cheap remedies come first."""
_OFF: Final = (None, False, 0, "", "none", "off", "false", "no", "identity")
_DROPOUT: Final = ("droprate", "droppathrate", "droppath", "dropprob", "pdrop", "attnpdrop", "residpdrop", "embdpdrop")
_DECAY: Final = ("weightdecay", "weightdecayrate", "wd", "l2", "l2reg", "l2lambda", "l2penalty", "decay")
_AUGMENTED: Final = ("aug", "mixup", "mixupalpha", "cutmix", "cutmixalpha", "mosaic", "fliplr", "specaugment")
_SMOOTHING: Final = ("labelsmoothing", "labelsmoothingfactor", "smoothing")
_DATA: Final = (
    "ntrain", "numtrain", "trainsize", "ntrainsamples", "numtrainsamples", "trainsamples", "ntrainexamples",
    "numtrainexamples", "trainexamples", "trainsetsize", "datasetsize", "nsamples", "numsamples", "nexamples",
    "numexamples", "examples", "samples",
)  # fmt: skip
_SIZE: Final = (
    "nparams", "numparams", "nparameters", "numparameters", "trainableparams", "trainableparameters", "modelparams",
    "modelparameters", "modelsize", "totalparams", "paramcount", "params", "parameters",
)  # fmt: skip
_EPOCH: Final = ("stepsperepoch", "batchesperepoch", "itersperepoch")
_TREES: Final = (
    "numleaves", "nestimators", "numboostround", "minchildweight", "mindatainleaf", "colsamplebytree", "l2leafreg",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One thing to try.

    Attributes:
        name: such as "weight_decay".
        state: "off" if the configuration turns it off, "not set" if there is no entry, "set", or "measured" if the
            remedy is based on the run's own steps instead of a setting.
        key, value: the configuration entry; None if there is none.
        text: what to try and why, in one sentence.
        source: where that is from.
    """

    name: str
    state: str
    text: str
    source: str
    key: str | None = None
    value: object = None

    def to_dict(self) -> dict[str, object]:
        """The remedy as strict JSON data."""
        names = ("name", "state", "key", "value", "text", "source")
        return {name: getattr(self, name) for name in names}


class _Settings:
    """A configuration by entry names without case and separators; the outermost entry of a name counts."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self.found: dict[str, tuple[str, object]] = {}
        entries = sorted(_entries(config), key=lambda entry: entry[0].count("."))
        for path, value in entries:
            self.found.setdefault(re.sub(r"[^a-z0-9]", "", path.rpartition(".")[2].lower()), (path, value))

    def entry(self, names: Sequence[str], part: str = "") -> tuple[str, object] | None:
        """The first entry with one of these names, or with `part` in its name; entries that are on are preferred."""
        fits = [self.found[name] for name in names if name in self.found]
        fits += [entry for name, entry in self.found.items() if part and part in name and name not in names]
        return next((entry for entry in fits if not _is_off(entry[1])), fits[0] if fits else None)

    def count(self, names: Sequence[str]) -> int | None:
        """The first whole number above 1 under one of these names. Fractions of the data do not count."""
        for name in names:
            value = self.found.get(name, ("", None))[1]
            if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value < 1e15 and value % 1 == 0:
                return int(value)
        return None


def _entries(config: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The entries of a configuration, also of mappings in a list, such as those of several optimisers."""
    for path, value in leaves(config):
        inside = [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
        for k, item in enumerate(inside):
            yield from ((f"{path}.{k}.{name}", found) for name, found in _entries(item))
        if not inside:
            yield path, value


def remedies(seen: RunSnapshot) -> tuple[Remedy, ...]:
    """Remedies for a run that overfits, cheapest first; empty if it does not overfit."""
    run = seen.info
    firing = any(f.rule == "overfitting" and f.state is FindingState.FIRING for f in seen.findings)
    if not firing and run.recommendation.rule != "overfitting":
        return ()
    known = _Settings(run.config)
    makers: tuple[Callable[[_Settings, RunInfo], Remedy | None], ...] = (
        (_early, _learning_rate, _rows, _depth) if any(name in known.found for name in _TREES)
        else (_augmentation, _decay, _dropout, _smoothing, _length, _size)
    )  # fmt: skip
    found = [remedy for make in makers if (remedy := make(known, run)) is not None]
    return tuple(sorted(found, key=lambda remedy: _RANK[remedy.state]))


def _is_off(value: object) -> bool:
    """Whether a value switches its entry off, also as text from a command line."""
    if isinstance(value, str):
        text = value.strip().lower()
        value = 0 if re.fullmatch(r"[+-]?0*\.?0+(e[+-]?\d+)?", text) else text
    return any(value is off or (value == off and isinstance(value, bool) == isinstance(off, bool)) for off in _OFF)


def _remedy(name: str, entry: tuple[str, object] | None, texts: tuple[str, str], source: str) -> Remedy:
    """A remedy for a setting.

    Args:
        name: the setting's name, with underscores.
        entry: its configuration entry; None if there is none.
        texts: what to do if it is off, and if it is set.
        source: where that is from.
    """
    title = name.replace("_", " ")
    if entry is None:
        text = f"{title} (the configuration has no entry for it): {texts[0]}"
        return Remedy(name=name, state="not set", text=text, source=source)
    key, value = entry
    state = "off" if _is_off(value) else "set"
    text = f"{title} ({key} is {plain(value)}): {texts[state == 'set']}"
    return Remedy(name=name, state=state, text=text, source=source, key=key, value=value)


def _augmentation(known: _Settings, _run: RunInfo) -> Remedy:
    texts = (
        "change the inputs so that their label stays, as crops, flips and mixup do for images and masks for sound.",
        "make it stronger, as long as the labels stay right.",
    )
    source = "Shorten, Khoshgoftaar 2019; Zhang et al., mixup, 2018"
    return _remedy("augmentation", known.entry(_AUGMENTED, "augment"), texts, source)


def _decay(known: _Settings, _run: RunInfo) -> Remedy:
    texts = ("try 0.01 to 0.1 with AdamW, 1e-4 to 5e-4 with SGD.", "try three times as much.")
    return _remedy("weight_decay", known.entry(_DECAY), texts, "Krogh, Hertz 1991; Loshchilov, Hutter 2019")


def _dropout(known: _Settings, _run: RunInfo) -> Remedy:
    texts = ("try 0.1 within transformers and convolutions, up to 0.5 in wide dense layers.", "try 0.1 to 0.2 more.")
    entry = known.entry(_DROPOUT, "dropout")
    if entry is not None and isinstance(entry[1], int | float) and entry[1] >= 0.5:
        texts = (texts[0], "it is high already; a smaller model may do as well.")
    return _remedy("dropout", entry, texts, "Srivastava et al. 2014")


def _smoothing(known: _Settings, run: RunInfo) -> Remedy | None:
    """For a goal that is best later than the loss: the model is overconfident rather than wrong."""
    advice, loss = run.recommendation, run.loss or {}
    at, best = advice.best_goal_step, advice.best_step
    if loss.get("kind") not in ("cross_entropy", "language_model") or at is None or best is None or at <= best:
        return None
    entry = known.entry(_SMOOTHING)
    params = loss.get("params")
    if entry is None and isinstance(params, Mapping) and "label_smoothing" in params:
        entry = ("loss.label_smoothing", params["label_smoothing"])
    why = (
        f"{advice.goal} was best at step {step(at)}, after the loss at step {step(best)}, so the model is overconfident"
    )
    texts = (f"{why} rather than wrong: try 0.1, or scale its temperature after training.", f"{why}; try more.")
    return _remedy("label_smoothing", entry, texts, "Guo et al. 2017; Mueller, Kornblith, Hinton 2019")


def _length(known: _Settings, run: RunInfo) -> Remedy | None:
    """For a best step well before the end: the schedule is too long for the data."""
    best, last = run.recommendation.best_step, run.last_step
    if best is None or not last or best <= 0 or best > 0.8 * last:
        return None
    each, data, batch = known.count(_EPOCH), known.count(_DATA), terms_of(run.config).batch_size
    each = each or (-(-data // batch) if data and batch else None)
    passes = f", epoch {best / each:.1f}" if each else ""
    text = (
        f"a shorter run: the loss was best at step {step(best)}{passes} of {step(last)} so far; let the learning rate "
        "come down by about then."
    )
    return Remedy(name="length", state="measured", text=text, source="Prechelt 1998; Hoffmann et al. 2022")


def _size(known: _Settings, _run: RunInfo) -> Remedy:
    data, size = known.count(_DATA), known.count(_SIZE)
    source = "Zhang et al., Understanding deep learning requires rethinking generalization, 2017"
    if data is None or size is None:
        lacks = " and ".join(name for name, value in (("n_params", size), ("n_train", data)) if value is None)
        text = f"a smaller model, or more data; with {lacks} in the configuration their sizes would be compared here."
        return Remedy(name="size", state="set", text=text, source=source)
    each = size / data
    means = "so it can memorise every example" if each > 1 else "so look for other causes first"
    text = f"a smaller or a pretrained model, or more data: it has {size:,} parameters for {data:,} examples, {means}."
    return Remedy(name="size", state="set", text=text, source=source, key="parameters per example", value=each)


_BOOSTING: Final = "Friedman 2001"


def _early(known: _Settings, run: RunInfo) -> Remedy:
    entry = known.entry(("earlystoppingrounds", "earlystoppinground", "earlystopping", "nitersnochange"))
    best = run.recommendation.best_step
    at = "" if best is None else f" The loss was best after round {step(best)}."
    texts = (f"stop after 20 to 50 rounds without a better validation loss.{at}", f"wait for fewer rounds.{at}")
    return _remedy("early_stopping_rounds", entry, texts, _BOOSTING)


def _learning_rate(known: _Settings, _run: RunInfo) -> Remedy:
    text = "halve it and allow twice the rounds."
    return _remedy("learning_rate", known.entry(("learningrate", "eta", "lr")), (text, text), _BOOSTING)


def _rows(known: _Settings, _run: RunInfo) -> Remedy:
    entry = known.entry(("subsample", "baggingfraction"))
    if entry is not None and entry[1] in (1, 1.0):
        text = f"subsample ({entry[0]} is {plain(entry[1])}): grow each tree on a share of the rows, 0.5 to 0.8."
        return Remedy(name="subsample", state="off", text=text, source="Friedman 2002", key=entry[0], value=entry[1])
    texts = ("grow each tree on a share of the rows, 0.5 to 0.8.", "try 0.5.")
    return _remedy("subsample", entry, texts, "Friedman 2002")


def _depth(known: _Settings, _run: RunInfo) -> Remedy:
    entry = known.entry(("maxdepth", "numleaves", "depth"))
    texts = ("try 3 to 6, or a larger minimum leaf weight.", "try less, or a larger minimum leaf weight.")
    name = "num_leaves" if entry is not None and entry[0].lower().endswith("leaves") else "max_depth"
    return _remedy(name, entry, texts, "Chen, Guestrin, XGBoost, 2016")
