"""The result of a measurement: `LossProfile`, as data and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.domain.formats import number
from monitor.losses.lint.report import Problem
from monitor.losses.specs.parameters import plain_fields

Evidence = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossProfile:
    """The properties of a loss function, as measured by calling it.

    Attributes:
        name: the callable's name, or the given one.
        kind: how it was called; see `profiles.kinds`.
        symmetric: an error costs as much as its opposite.
        border_growth: growth for very large errors: bounded, logarithmic, sublinear, linear, superlinear, quadratic,
            power or exponential; the fastest side counts.
        convex: no violation of convexity was found, in the whole prediction.
        differentiable: no kink was found along the slices.
        kinks: errors at which the slope jumps, ascending.
        lipschitz: steepest slope found; None if there is no bound.
        outlier_influence: 0 (ignored) to 1 (like the squared error, or everything lost), more for faster growth; of the
            worse side. None if it is not defined.
        stable_in: floating-point types, besides float64, in which value and gradient are right for errors up to 1000.
        relative_cost: time of a call relative to plain mean squared error.
        shift_invariant: adding a constant changes nothing.
        scale_degree: scaling by c multiplies the loss by c to this power; None if there is no such power.
        reduction: "mean", "sum" or "other", as measured.
        problems: what the linter finds wrong; see `losses.check`.
        evidence: per attribute, the numbers behind it.
        curve: slice name to {"error", "loss"} lists, for plots.
    """

    name: str
    kind: str
    symmetric: bool
    border_growth: str
    convex: bool
    differentiable: bool
    kinks: tuple[float, ...]
    lipschitz: float | None
    outlier_influence: float | None
    stable_in: tuple[str, ...]
    relative_cost: float
    shift_invariant: bool
    scale_degree: float | None
    reduction: str
    problems: tuple[Problem, ...] = ()
    evidence: Mapping[str, Evidence]
    curve: Mapping[str, Mapping[str, tuple[float, ...]]]

    def to_dict(self) -> dict[str, object]:
        """The profile as strict JSON data; `evidence` has an entry for every measured attribute."""
        return plain_fields(self)

    @property
    def findings(self) -> tuple[str, ...]:
        """What one should know about this loss, one sentence each, with the numbers."""
        return (*self._shape(), *self._training(), *self._numbers())

    def _shape(self) -> list[str]:
        border = self.evidence["border_growth"]["sides"]
        assert isinstance(border, Mapping)
        sides = "; ".join(f"{name}: {_side(found)}" for name, found in border.items())
        found = [f"Growth at the border: {sides}."]
        domain = self.evidence["domain"]
        for name, ends in domain.items():
            if isinstance(ends, Mapping) and not ends["everywhere"]:
                found.append(f"Defined for errors from {number(ends['from'])} to {number(ends['to'])} only ({name}).")
        if not self.symmetric:
            counter = self.evidence["symmetric"]["counter_example"]
            assert isinstance(counter, Mapping)
            found.append(
                f"Not symmetric: an error of {number(counter['error'])} costs {number(counter['loss'])}, its "
                f"opposite {number(counter['loss_of_opposite'])}."
            )
        if not self.convex:
            counter = self.evidence["convex"]["counter_example"]
            assert isinstance(counter, Mapping)
            found.append(
                f"Not convex in the {counter['of']}: between two points that cost {number(counter['loss_x'])} and "
                f"{number(counter['loss_y'])} it costs {number(counter['loss_between'])}, the chord "
                f"{number(counter['chord'])}."
            )
        if self.kinks:
            found.append(f"Kinks at error {', '.join(f'{place:g}' for place in self.kinks)}.")
        return found

    def _training(self) -> list[str]:
        found = []
        if self.lipschitz is None:
            steep = self.evidence["lipschitz"]["steepest_slope_seen"]
            assert isinstance(steep, float)
            found.append(f"The gradient has no bound (steepest seen {number(steep)}); clip it, or keep errors small.")
        else:
            found.append(f"The gradient stays within {number(self.lipschitz)}.")
        slices = self.evidence["gradient"]["slices"]
        assert isinstance(slices, Mapping)
        vanishing = [name for name, entry in slices.items() if entry["large_plus_is"] == "vanishing"]
        if vanishing:
            found.append(
                f"The gradient vanishes for large errors ({', '.join(vanishing)}): bad examples stop teaching."
            )
        if self.outlier_influence is not None:
            worse = self.evidence["outlier_influence"].get("worse")
            side = f", on the worse side ({worse})" if worse and not self.symmetric else ""
            found.append(
                f"One far outlier among 41 has an influence of {number(self.outlier_influence, 3)} (0 none, 1 "
                f"full){side}."
            )
        return found

    def _numbers(self) -> list[str]:
        found = []
        for dtype, entry in self.evidence["stable_in"].items():
            if not isinstance(entry, Mapping) or dtype in self.stable_in:
                continue
            if "refused" in entry:
                found.append(f"{dtype}: refused ({entry['refused']}).")
                continue
            slices = entry["slices"]
            assert isinstance(slices, Mapping)
            for name, places in slices.items():
                told = [
                    f"{word} at error {number(places[key])}"
                    for key, word in (
                        ("overflow_at", "overflows"),
                        ("precision_lost_at", "loses precision"),
                        ("gradient_not_finite_at", "has no finite gradient"),
                    )
                    if places.get(key) is not None
                ]
                if told:
                    found.append(f"{dtype}, {name}: {', '.join(told)}.")
            if entry.get("batch_mean", "right") != "right":
                found.append(f"{dtype}: the mean over a large batch {entry['batch_mean']}.")
        return found

    def rows(self) -> tuple[tuple[str, str], ...]:
        """The profile as labels and values, for a table."""
        return (
            ("called as", self.kind),
            ("symmetric", _yes(self.symmetric)),
            ("growth at the border", self.border_growth),
            ("convex", _yes(self.convex)),
            ("differentiable", _yes(self.differentiable)),
            ("kinks", ", ".join(f"{place:g}" for place in self.kinks) or "none"),
            ("Lipschitz constant", "none" if self.lipschitz is None else number(self.lipschitz)),
            (
                "outlier influence",
                "not defined" if self.outlier_influence is None else number(self.outlier_influence, 3),
            ),
            ("stable in", ", ".join(self.stable_in) or "float64 only"),
            ("cost against MSE", f"{self.relative_cost:.2f}x"),
            ("shift invariant", _yes(self.shift_invariant)),
            ("scale degree", "none" if self.scale_degree is None else f"{self.scale_degree:g}"),
            ("reduction", self.reduction),
        )

    def to_markdown(self, *, heading: int = 2, picture: str | None = None) -> str:
        """The profile as a Markdown section: a table, sentences, and a plot if its address is given."""
        lines = [f"{'#' * heading} {self.name}", ""]
        if picture:
            lines += [f"![{self.name}: loss and slope over the error]({picture})", ""]
        lines += ["| property | measured |", "|---|---|"]
        lines += [f"| {label} | {value} |" for label, value in self.rows()]
        lines += ["", *[f"- {sentence}" for sentence in self.findings], ""]
        if self.problems:
            lines += [f"{'#' * heading}# Problems", "", *[f"- {item}" for item in self.problems], ""]
        return "\n".join(lines)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _side(found: object) -> str:
    assert isinstance(found, Mapping)
    growth, near = str(found["growth"]), found.get("near_zero")
    text = growth + (" downwards" if found.get("direction") == "falls" else "")
    small = near.get("growth") if isinstance(near, Mapping) else None
    if (
        small not in (None, "none", growth, "bounded")
        and isinstance(near, Mapping)
        and near.get("direction") == "rises"
    ):
        text = f"{small} for small errors, then {text}"
    return text
