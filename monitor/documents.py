"""Reads TOML and YAML strictly as plain data, and finds the line of a key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import FileUnreadable
from monitor.files import content

if TYPE_CHECKING:
    import yaml


def read_data(path: Path) -> object:
    """Read a YAML file, or a TOML file if its name ends in `.toml`.

    In YAML, a duplicate key is an error and `1e-3` is a number.

    Raises:
        FileUnreadable: names the file and the line.
    """
    text = read_text(path)
    if path.suffix.lower() == ".toml":
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise FileUnreadable(str(path), "", str(error)) from None
    import yaml

    try:
        # A subclass of SafeLoader: it creates plain data only.
        data: object = yaml.load(text, Loader=_strict())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or "is not YAML"
        if isinstance(error, yaml.composer.ComposerError | yaml.constructor.ConstructorError):
            # These quote the name of an alias or a tag, which may be a password that begins with "*" or "!".
            problem = re.sub(r"'.*'", "as it stands there", problem)
        raise FileUnreadable(str(path), place, problem) from None
    except yaml.YAMLError as error:
        raise FileUnreadable(str(path), "", f"is not YAML ({' '.join(str(error).split())})") from None
    except (RecursionError, ValueError) as error:
        raise FileUnreadable(str(path), "", str(error)) from None
    return data


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        FileUnreadable: names the file and why it cannot be read.
    """
    try:
        return content(path, stream=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnreadable(str(path), "", f"is not text in UTF-8 (byte {error.start})") from None


def line_of(path: Path, keys: Sequence[str]) -> int | None:
    """The line, from 1, of the key at the path `keys`, or of its closest parent that exists; None if there is none.

    Args:
        path: a file that `read_data` can read.
        keys: from the outermost table inwards, such as `["rules", "overfitting", "rise"]`.
    """
    text = read_text(path)
    if path.suffix.lower() != ".toml":
        return _yaml_line(text, keys)
    places = _toml_places(text)
    found = (places.get(tuple(keys[:length])) for length in range(len(keys), 0, -1))
    return next((line for line in found if line is not None), None)


def _toml_places(text: str) -> dict[tuple[str, ...], int]:
    """The line of every key. Each line is parsed as TOML on its own, so quotes and dots keep their meaning."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[", line):
            table = _path(line) or table
            keys = table
        else:
            inner = _path(f"{line.split('=', 1)[0]} = 0") if "=" in line else ()
            keys = (*table, *inner) if inner else ()
        for length in range(1, len(keys) + 1):
            found.setdefault(keys[:length], number)
    return found


def _path(line: str) -> tuple[str, ...]:
    """The keys that a line of TOML names, outermost first."""
    try:
        data: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys: tuple[str, ...] = ()
    while isinstance(data, dict | list) and data:
        if isinstance(data, list):
            data = data[0]
            continue
        key, data = next(iter(data.items()))
        keys += (key,)
    return keys


def _yaml_line(text: str, keys: Sequence[str]) -> int | None:
    import yaml

    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    line: int | None = None
    for wanted in keys:  # along this path alone: through aliases, a short file has more paths than can be counted
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        key, node = next(((key, value) for key, value in pairs if str(key.value) == wanted), (None, None))
        if key is None:
            break
        line = key.start_mark.line + 1
    return line


@cache
def _strict() -> type[yaml.SafeLoader]:
    """A stricter YAML loader. Created on first use because importing yaml is slow."""
    import yaml

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
            """Like the base class, but a duplicate key is an error."""
            seen: set[object] = set()
            for key, _ in node.value:
                if key.value in seen and key.value != "<<":
                    problem = f"the key {key.value!r} appears twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    Strict.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Strict


def tables(data: object) -> Mapping[str, object] | None:
    """A document as a table with text keys; an empty document is an empty table. None if it is something else.

    >>> tables(None), tables([1])
    ({}, None)
    """
    if data is None:
        return {}
    return {str(key): value for key, value in data.items()} if isinstance(data, Mapping) else None
