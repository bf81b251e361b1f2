"""A property that is computed on first access and then kept, without the lock of `functools.cached_property`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - used as a decorator, like property
    """Decorator: the method's result becomes an attribute of the instance.

    Example:
        >>> class Square:
        ...     def __init__(self, side: float) -> None:
        ...         self.side = side
        ...
        ...     @lazy
        ...     def area(self) -> float:
        ...         return self.side**2
        >>> square = Square(3)
        >>> square.area, "area" in vars(square)
        (9, True)
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | lazy[T]:
        """Compute, store and return the value. The stored attribute shadows this descriptor from then on."""
        if instance is None:
            return self
        value = self.compute(instance)
        instance.__dict__[self.name] = value
        return value
