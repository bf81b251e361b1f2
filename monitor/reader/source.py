"""`Source`: where `reader.Api` reads from, the store of this machine or a server.

Both have the same methods, with the same answers. `Api`, `RunView` and their mixins document them.
"""

from __future__ import annotations

from monitor.reader.embedded import EmbeddedSource
from monitor.reader.remote import HttpSource

Source = EmbeddedSource | HttpSource
