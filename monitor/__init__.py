"""Training monitor: log losses, get the diagnosis, stop early.

Example:
    >>> import monitor
    >>> curve = [(step, 1 / (1 + step / 50)) for step in range(200)]
    >>> monitor.diagnose(train=curve).recommendation.action.value
    'continue'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from monitor import distributed as distributed
    from monitor import losses as losses
    from monitor import mlflow as mlflow
    from monitor.errors import StopTraining as StopTraining
    from monitor.importers.diagnosing import diagnose as diagnose
    from monitor.reader.api import Api as Api
    from monitor.run.start import Run as Run
    from monitor.run.start import alert as alert
    from monitor.run.start import finish as finish
    from monitor.run.start import init as init
    from monitor.run.start import log as log

_WHERE = {
    "Api": "monitor.reader.api",
    "Run": "monitor.run.start",
    "StopTraining": "monitor.errors",
    "alert": "monitor.run.start",
    "diagnose": "monitor.importers.diagnosing",
    "finish": "monitor.run.start",
    "init": "monitor.run.start",
    "log": "monitor.run.start",
}

__all__ = [
    "Api",
    "Run",
    "StopTraining",
    "__version__",
    "alert",
    "diagnose",
    "distributed",
    "finish",
    "init",
    "log",
    "losses",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that `import monitor` itself is instant."""
    if name in ("distributed", "losses", "mlflow"):
        return importlib.import_module(f"monitor.{name}")
    if name in _WHERE:
        value: object = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'monitor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
