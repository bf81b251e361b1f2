"""Makes names and texts valid for MLflow.

Source: `mlflow/utils/validation.py` of MLflow 3.17.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

MAX_KEY: Final = 250
MAX_PARAM: Final = 6000
MAX_TAG: Final = 8000
MAX_EXPERIMENT: Final = 500
_BAD: Final = re.compile(r"[^/\w.\- :]")


def safe_key(key: str) -> str:
    """A valid MLflow name: allowed characters, a normalised path, at most 250 characters.

    >>> [safe_key(k) for k in ("val/loss", "acc@5", "/a//b/", "..")]
    ['val/loss', 'acc_5', 'a.b', '_']
    """
    name = _BAD.sub("_", key)
    if name != posixpath.normpath(name) or name.startswith(("/", "..")) or name in ("", "."):
        name = re.sub(r"[/.]*/[/.]*", ".", name).strip("./") or "_"
    return name[:MAX_KEY].rstrip("/") or "_"


def free(key: str, taken: Mapping[str, object]) -> str:
    """The key, or the first of `key_2`, `key_3`, … that is not taken."""
    if key not in taken:
        return key
    n = 2
    while f"{key[: MAX_KEY - 16]}_{n}" in taken:
        n += 1
    return f"{key[: MAX_KEY - 16]}_{n}"


def cut(text: str, limit: int) -> str:
    """The text, cut to the limit; it then ends in "…"."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plain(text: str) -> str:
    r"""The text without what JSON and databases cannot carry: NUL and halves of surrogate pairs.

    >>> plain("a\0b"), plain("half \ud800")
    ('a�b', 'half ?')
    """
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
