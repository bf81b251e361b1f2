"""Calls the loss under test, with numpy arrays or torch tensors, and checks that what comes back is one number.

A `Line` is the loss along one slice, evaluated on a grid once and shared by the measurements.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from monitor.errors import LossError
from monitor.losses.profiles.layout import Array, Fixed, Kind, Slice

LossFunction = Callable[..., object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A loss that has been called once and returned a number.

    Attributes:
        name: the name in reports.
        fn: the callable.
        kind: how it is called.
        backend: "numpy" or "torch".
        reduction: "mean", "sum" or "other", as measured by repeating one example.
        averages: whether a result of one number for each example stands for their mean.
    """

    name: str
    fn: LossFunction
    kind: Kind
    backend: str
    reduction: str = "mean"
    averages: bool = False
    casts: dict[str, LossFunction] = field(default_factory=dict, compare=False, repr=False)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The floating-point types that can be tried."""
        return ("float32", "float16", "bfloat16") if self.backend == "torch" else ("float32", "float16")

    def inputs(self, z: Array, fixed: Fixed, dtype: str = "float64") -> tuple[object, ...]:
        """The callable's arguments, float arrays in `dtype`."""
        arguments = self.kind.arguments(z, fixed)
        if self.backend == "torch":
            import torch

            wanted = getattr(torch, dtype)
            tensors = (torch.from_numpy(np.array(item, order="C")) for item in arguments)  # a loss may change them
            return tuple(item.to(wanted) if item.is_floating_point() else item for item in tensors)
        wide = np.dtype(dtype)
        return tuple(item.astype(wide) if item.dtype.kind == "f" else item for item in arguments)

    def function(self, dtype: str) -> LossFunction:
        """The callable for inputs of this type; a torch module with weights is cast in a copy."""
        state = getattr(self.fn, "state_dict", None)
        if self.backend != "torch" or state is None or not state():
            return self.fn
        if dtype not in self.casts:
            import torch

            self.casts[dtype] = copy.deepcopy(self.fn).to(getattr(torch, dtype))  # type: ignore[attr-defined]  # a module
        return self.casts[dtype]

    def call(self, inputs: Sequence[object], dtype: str = "float64") -> object:
        """The callable's loss without anything else that it returns; averaged if it is one number per example."""
        found = loss_of(self.function(dtype)(*inputs))
        shape = tuple(getattr(found, "shape", ()))
        if self.averages and len(shape) == 1 and shape[0] == len(cast(Sequence[object], inputs[0])):
            return cast(Array, found).mean()
        return found

    def value(self, z: Array, fixed: Fixed, dtype: str = "float64") -> float:
        """The loss of a batch as a float; may be NaN or infinite.

        Args:
            z: flat predictions (n, width).
            fixed: the targets.
            dtype: floating-point type of the inputs.
        """
        inputs = self.inputs(z, fixed, dtype)
        if self.backend == "torch":
            import torch

            with torch.no_grad():
                return number(self.name, self.call(inputs, dtype))
        return number(self.name, self.call(inputs, dtype))

    def at(self, line: Slice, error: float, dtype: str = "float64") -> float:
        """The loss of one example at this error."""
        return self.value(line.z(error)[None], line.fixed, dtype)

    def along(self, line: Slice, errors: Sequence[float] | Array) -> Array:
        """The loss of one example at each error; shape (k,)."""
        return np.array([self.at(line, float(error)) for error in errors], float)

    def gradient(self, line: Slice, error: float, dtype: str = "float64") -> Array | None:
        """Torch's gradient for the first argument of one example, flat; None for numpy callables."""
        if self.backend != "torch":
            return None
        inputs = list(self.inputs(line.z(error)[None], line.fixed, dtype))
        first = inputs[0].detach().clone().requires_grad_(True)  # type: ignore[attr-defined]  # a torch tensor
        result = self.call([first, *inputs[1:]], dtype)
        if not differentiable(result):
            return None
        result.backward()  # type: ignore[attr-defined]  # a torch tensor
        return cast(Array, first.grad.double().reshape(-1).numpy())


POINTS = 601
"""Grid points from -reach to reach, denser near zero (sinh spacing)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The loss along one slice.

    Attributes:
        subject, slice: what was called.
        errors: float64 (m,), ascending, none exactly 0.
        values: float64 (m,), the loss at each error; may hold NaN.
        slopes: float64 (m - 1,), between neighbours.
    """

    subject: Subject
    slice: Slice
    errors: Array
    values: Array
    slopes: Array

    def __call__(self, error: float) -> float:
        """The loss at one error."""
        return self.subject.at(self.slice, error)

    def many(self, errors: Array) -> Array:
        """The loss at each error; shape (k,) to (k,)."""
        return self.subject.along(self.slice, errors)

    def slope(self, error: float, step: float) -> float:
        """The central difference at an error."""
        return (self(error + step) - self(error - step)) / (2 * step)

    @property
    def domain(self) -> dict[str, float | bool]:
        """The range of errors in which the loss is not NaN, and whether that is the whole grid."""
        known = self.errors[~np.isnan(self.values)]
        ends = (float(known[0]), float(known[-1])) if known.size else (0.0, 0.0)
        return {"from": ends[0], "to": ends[1], "everywhere": known.size == self.errors.size}

    @property
    def slope_scale(self) -> float:
        """A typical slope for errors within 10, above zero."""
        near = np.abs(self.errors[1:]) <= 10
        finite = np.abs(self.slopes[near & np.isfinite(self.slopes)])
        return max(float(np.quantile(finite, 0.75)) if finite.size else 0.0, 1e-12)


def trace(subject: Subject) -> tuple[Line, ...]:
    """Evaluate the loss along every slice of its kind."""
    top = float(np.arcsinh(subject.kind.reach))
    shift = 0.37 * 2 * top / (POINTS - 1)  # keeps the grid off 0 and off round numbers, where kinks sit
    errors = np.sinh(np.linspace(-top, top, POINTS) + shift)
    found = []
    for line in subject.kind.slices:
        values = subject.along(line, errors)
        slopes = np.diff(values) / np.diff(errors)
        found.append(Line(subject=subject, slice=line, errors=errors, values=values, slopes=slopes))
    return tuple(found)


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch on one thread inside the block and restore the number afterwards.

    On batches this small, threads cost more than they gain, and their waiting for each other would distort timings.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def differentiable(result: object) -> bool:
    """Whether autograd can differentiate a result."""
    return bool(getattr(result, "requires_grad", False))


def loss_of(result: object) -> object:
    """The loss without its parts: the first item of a tuple, or the `loss` or `total` of a mapping."""
    if isinstance(result, tuple) and result and (isinstance(result[0], float) or hasattr(result[0], "shape")):
        return result[0]
    if isinstance(result, Mapping):
        return next((result[key] for key in ("loss", "total", "total_loss") if key in result), result)
    return result


def number(name: str, result: object) -> float:
    """The single number that a loss returned.

    Raises:
        LossError: it returned a vector, a tuple, or something that is not a number.
    """
    shape = getattr(result, "shape", None)
    if shape is not None and int(np.prod(tuple(shape))) != 1:
        raise LossError(
            name, f"it returns shape {tuple(shape)}, not one number", 'average it: reduction="mean", or .mean()'
        )
    if isinstance(result, (tuple, list, dict)) or result is None:
        raise LossError(name, f"it returns a {type(result).__name__}, not one number", "return the loss alone")
    try:
        found = result.item() if hasattr(result, "item") else result
        return float(found)  # type: ignore[arg-type]  # the except below is what checks it
    except (TypeError, ValueError, RuntimeError) as error:
        raise LossError(name, f"it returns {type(result).__name__}, not one number", "return the mean loss") from error


def name_of(fn: LossFunction) -> str:
    """The name of a callable: of the function, or of its class."""
    inner = getattr(fn, "func", fn)
    name = getattr(inner, "__name__", None)
    return str(name) if name and name != "<lambda>" else type(inner).__name__ if name is None else "loss"


def is_torch(fn: LossFunction) -> bool:
    """Whether it is one of torch's own losses, or a function of this package that calls torch."""
    if getattr(fn, "loss_backend", "") == "torch":
        return True
    inner = getattr(fn, "func", fn)
    modules = [base.__module__ for base in type(inner).__mro__] + [str(getattr(inner, "__module__", ""))]
    return any(item.split(".")[0] == "torch" for item in modules)


def examine(
    fn: LossFunction, kind: Kind, *, name: str | None = None, backend: str = "auto", averages: bool = False
) -> Subject:
    """Call the loss for the first time, and reject it in one line if it cannot be profiled.

    Args:
        kind: how to call it.
        name: the name in reports; default its own.
        backend: "numpy", "torch", or "auto": torch for torch's own losses; else numpy, then torch if imported.
        averages: average a result with one number per example.

    Raises:
        LossError: it cannot be called this way, does not return a single number, is NaN everywhere, or is random.
    """
    label = name or (name_of(fn) if callable(fn) else repr(fn))
    if not callable(fn):
        raise LossError(label, "it cannot be called", f"give a function called as {kind.call}")
    if backend == "auto":
        backends = ["torch"] if is_torch(fn) else ["numpy"] + (["torch"] if "torch" in sys.modules else [])
    else:
        backends = [backend]
    problem: Exception | None = None
    for candidate in backends:
        subject = Subject(name=label, fn=fn, kind=kind, backend=candidate, averages=averages)
        try:
            reduction = _first_calls(subject)
        except LossError:
            raise
        except Exception as error:  # a foreign callable may raise anything; report it in one line
            problem = problem if problem is not None and candidate != "torch" else error
            continue
        return Subject(name=label, fn=fn, kind=kind, backend=candidate, reduction=reduction, averages=averages)
    first = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
    fix = f'kind="{kind.name}" calls {kind.call}; choose the kind that fits, or wrap the function'
    raise LossError(label, f"calling it failed: {first}", fix) from problem


def _first_calls(subject: Subject) -> str:
    """Check shapes, finiteness and determinism; return the measured reduction."""
    rng = np.random.default_rng(0)
    fixed = subject.kind.targets(rng, 6)
    z = rng.normal(0, 1, (6, subject.kind.width))
    if subject.value(z, fixed) != (again := subject.value(z, fixed)) and not np.isnan(again):
        raise LossError(
            subject.name, "the same input gives different losses", "take the randomness out, or fix its seed"
        )
    line = subject.kind.slices[0]
    values = [subject.at(line, error) for error in (-3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0)]
    if not any(np.isfinite(value) for value in values):
        what = "NaN" if all(np.isnan(values)) else "not finite"
        fix = f"check that it fits {subject.kind.call}"
        fix += ", or give a target= for which it is defined" if subject.kind.moves_target else ""
        raise LossError(subject.name, f"it is {what} for every error tried", fix)
    for error in (3.0, 1.0, -3.0):
        one = subject.at(line, error)
        if np.isfinite(one) and abs(one) > 1e-9:
            many = subject.value(
                np.repeat(line.z(error)[None], 4, 0), tuple(np.repeat(item, 4, 0) for item in line.fixed)
            )
            return {1.0: "mean", 4.0: "sum"}.get(round(many / one, 6), "other")
    return "mean"
