"""The path that integrations had before; `monitor.client.integrations.keras` is `monitor.integrations.keras`."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_OLD: Final = __name__ + "."
_NEW: Final = "monitor.integrations."


class _Moved(MetaPathFinder, Loader):
    """Finds a module under its old name by importing it under its new one, so that there is one of it, not two."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the protocol's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname.startswith(_OLD) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = _NEW + spec.name.removeprefix(_OLD)
        warnings.warn(f"{spec.name} has moved: import {new}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has set the old name's


sys.meta_path.insert(0, _Moved())
