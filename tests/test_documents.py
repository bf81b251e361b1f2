"""TOML and YAML are read strictly, and what is wrong in them is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.documents import line_of, read_data
from monitor.errors import FileUnreadable
from monitor.limits import document

TOML = """\
port = 8470

[rules]
spike = false
overfitting.rise = 0.02   # dotted

[projects."my project".rules.overfitting]
patience = 5
limits = { low = 1, high = 2 }
"""
YAML = """\
port: 8470
rules:
  spike: false
  overfitting: {rise: 0.02}
projects:
  my project:
    rules:
      overfitting:
        patience: 5
"""


@pytest.mark.parametrize(
    ("name", "keys", "line"),
    [
        ("a.toml", ["port"], 1),
        ("a.toml", ["rules", "spike"], 4),
        ("a.toml", ["rules", "overfitting", "rise"], 5),
        ("a.toml", ["projects", "my project", "rules", "overfitting", "patience"], 8),
        ("a.toml", ["projects", "my project", "rules", "overfitting", "limits", "high"], 9),
        ("a.toml", ["projects", "my project", "rules", "spik"], 7),
        ("a.toml", ["nothing"], None),
        ("a.yaml", ["rules", "overfitting", "rise"], 4),
        ("a.yaml", ["projects", "my project", "rules", "overfitting", "patience"], 9),
        ("a.yaml", ["rules", "nothing"], 2),
    ],
)
def test_the_line_of_a_key_is_found_or_that_of_what_holds_it(
    tmp_path: Path, name: str, keys: list[str], line: int | None
) -> None:
    path = tmp_path / name
    path.write_text(TOML if name.endswith("toml") else YAML)
    assert line_of(path, keys) == line


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = 1e-3\n[t]\ny = true\n")
    (tmp_path / "a.yml").write_text("x: 1e-3\nt: {y: true}\n")
    assert read_data(tmp_path / "a.toml") == read_data(tmp_path / "a.yml") == {"x": 0.001, "t": {"y": True}}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' appears twice"),
        ("a.yaml", "a: [1\n", "line 2"),
        ("a.toml", "a = \n", "line 1"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(FileUnreadable, match=says):
        read_data(tmp_path / name)


def test_a_short_file_of_aliases_that_stand_for_billions_of_entries_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    levels = [f"n{n}: &n{n} {{{', '.join(f'k{each}: *n{n - 1}' for each in range(9))}}}" for n in range(1, 30)]
    path.write_text("\n".join(["n0: &n0 {x: 1}", *levels]))

    assert set(read_data(path)) == {f"n{n}" for n in range(30)}  # type: ignore[call-overload]  # a mapping
    assert line_of(path, ["n29", "k1", "k2", "nothing"]) == 29
    notes: list[str] = []
    document(read_data(path), lambda kind, *_: notes.append(kind))  # type: ignore[arg-type]  # likewise
    assert "shortened" in notes
