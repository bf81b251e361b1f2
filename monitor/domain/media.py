"""Images, tables and histograms of a run, each at a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitor.domain.plain import Row

JSON: Final = "application/json"
SIGNATURES: Final = {"image/png": (0, b"\x89PNG\r\n\x1a\n"), "image/webp": (8, b"WEBP")}
"""MIME type -> (offset, signature) of the image's content. Browsers run no scripts in these formats."""
KINDS: Final = ("image", "table", "histogram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Media(Row):
    """One image, table or histogram of a run, without its content.

    Attributes:
        id: its number within the run.
        key: the name that it was logged under.
        kind: "image", "table" or "histogram".
        step: the step that it belongs to.
        time_ms: when it was logged.
        mime: type of its content: "image/png", "image/webp" or "application/json".
        caption: its caption; may be empty.
        size: bytes of its content.
    """

    id: int
    key: str
    kind: str
    step: int
    time_ms: int
    mime: str
    caption: str
    size: int
