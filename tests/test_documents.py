"""TOML and YAML are read strictly, and what is wrong in them is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.documents import line_of, read_data
from monitor.errors import FileUnreadable

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
