"""Parses the query language of the run list into a tree; `query_sql` turns the tree into SQL.

    status = "running" and val.best < 0.3 and tags.team = "vision" order by val.best

A comparison is a field, an operator (`=`, `!=`, `<`, `<=`, `>`, `>=`, `~` for "contains") and a value: a number, a text
in quotes, `true`, `false` or `null`. Or it is a field, `in`, and a list of values in parentheses. `and` binds tighter
than `or`, `not` tightest. The fields are `query_sql.FIELDS`, `tags.NAME`, `config.NAME.NAME…` and
`metric."KEY".last|min|max|count|last_step|min_step|max_step`. A part of a name that is not a word must be quoted.
Keywords are case-insensitive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from monitor.errors import QueryError

MAX_LENGTH: Final = 4000
_MAX_DEPTH: Final = 50
OPERATORS: Final = ("!=", "<=", ">=", "=", "<", ">", "~")
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>!=|<=|>=|==|<>|[=<>~(),.])
    )""",
    re.VERBOSE,
)
_ALSO: Final = {"==": "=", "<>": "!="}
_OTHERS: Final = {"like": "~", "contains": "~", "is": "=", "&": "and", "|": "or", "!": "not"}
"""Operators of other languages, and their spelling here."""
_CLOSERS: Final = frozenset({"and", "or", "order", ")", ""})

Value = float | str | bool | None


@dataclass(frozen=True, slots=True)
class Field:
    """A field as written: its parts and its position."""

    parts: tuple[str, ...]
    position: int

    @property
    def name(self) -> str:
        """The parts joined by dots."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field compared with a value, or with several for `in`."""

    field: Field
    operator: str
    values: tuple[Value, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all must hold (`and`) or at least one (`or`)."""

    word: str
    inner: tuple[Node, ...]


Node = Comparison | Not | Group


@dataclass(frozen=True, slots=True)
class Query:
    """A query: its condition (None for all runs), and its order as (field, descending)."""

    text: str
    where: Node | None
    order: tuple[tuple[Field, bool], ...]


def parse(text: str) -> Query:
    """Parse a query.

    Raises:
        QueryError: it does not follow the language; `position` is the offending character.

    >>> parse('val.best < 0.3 order by val.best desc').order[0][0].name
    'val.best'
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(text[:60], 0, f"the query is {len(text)} characters long, at most {MAX_LENGTH} are read")
    return _Parser(text).query()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, text, word, sign, or end
    text: str
    position: int

    @property
    def lower(self) -> str:
        return "" if self.kind == "text" else self.text.lower()


def _tokens(text: str) -> list[_Token]:
    if "\x00" in text:
        raise QueryError(text, text.index("\x00"), "a query cannot hold a NUL character")
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            what = "a text without its closing quote" if text[start] in "\"'" else f"{text[start]!r} is not expected"
            raise QueryError(text, start, what + _hint(text[start]))
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return [*found, _Token("end", "", len(text.rstrip()))]


class _Parser:
    """Recursive descent with one token of lookahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.next
        self.at += token.kind != "end"
        return token

    def accept(self, *words: str) -> bool:
        if self.next.kind != "end" and self.next.lower in words:
            self.at += 1
            return True
        return False

    def fail(self, problem: str, token: _Token | None = None) -> QueryError:
        token = token or self.next
        seen = "the query ends here" if token.kind == "end" else f"got {token.text}"
        return QueryError(self.text, token.position, f"{problem}, {seen}")

    def query(self) -> Query:
        where = None if self.next.kind == "end" or self.next.lower == "order" else self.either()
        order: list[tuple[Field, bool]] = []
        if self.accept("order"):
            if not self.accept("by"):
                raise self.fail("expected `by` after `order`")
            order.append(self.sort_key())
            while self.accept(","):
                order.append(self.sort_key())
        if self.next.kind != "end":
            raise self.fail("expected `and`, `or`, `order by` or the end")
        return Query(self.text, where, tuple(order))

    def sort_key(self) -> tuple[Field, bool]:
        field = self.field()
        down = self.accept("desc")
        if not down:
            self.accept("asc")
        return field, down

    def either(self) -> Node:
        found = [self.both()]
        while self.accept("or"):
            found.append(self.both())
        return found[0] if len(found) == 1 else Group("or", tuple(found))

    def both(self) -> Node:
        found = [self.one()]
        while self.accept("and"):
            found.append(self.one())
        return found[0] if len(found) == 1 else Group("and", tuple(found))

    def one(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail(f"more than {_MAX_DEPTH} nested conditions")
        try:
            if self.accept("not"):
                return Not(self.one())
            if self.accept("("):
                inner = self.either()
                if not self.accept(")"):
                    raise self.fail("expected `)`")
                return inner
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Node:
        field = self.field()
        operator = self.take()
        if operator.lower == "not" and self.accept("in"):
            return Not(Comparison(field, "in", self.values(), operator.position))
        if operator.lower == "in":
            return Comparison(field, "in", self.values(), operator.position)
        sign = _ALSO.get(operator.text, operator.text)
        if operator.kind != "sign" or sign not in OPERATORS:
            self.at = self.tokens.index(operator)
            known = f"({' '.join(OPERATORS)} in)"
            raise self.fail(f"expected an operator {known} after {field.name}{_hint(operator.lower)}")
        return Comparison(field, sign, (self.value(),), operator.position)

    def values(self) -> tuple[Value, ...]:
        if not self.accept("("):
            raise self.fail("expected `(` and a list of values")
        found = [self.value()]
        while self.accept(","):
            found.append(self.value())
        if not self.accept(")"):
            raise self.fail("expected `,` or `)`")
        return tuple(found)

    def value(self) -> Value:
        token = self.next
        if token.kind == "number":
            self.at += 1
            return float(token.text)
        if token.kind == "text":
            self.at += 1
            return _unquoted(token.text)
        if token.lower in _WORDS:
            self.at += 1
            return _WORDS[token.lower]
        hint = f'; write "{token.text}" for a text' if token.kind == "word" else ""
        raise self.fail(f"expected a value{hint}")

    def field(self) -> Field:
        first = self.next
        if first.kind != "word" or first.lower in _CLOSERS:
            raise self.fail("expected the name of a field")
        parts = [self.take().text]
        while self.accept("."):
            part = self.next
            if part.kind not in ("word", "text"):
                raise self.fail(f"expected a name after {'.'.join(parts)}.")
            parts.append(_unquoted(part.text) if part.kind == "text" else part.text)
            self.at += 1
        return Field(tuple(parts), first.position)


_WORDS: Final[dict[str, Value]] = {"true": True, "false": False, "null": None, "none": None}


def _hint(word: str) -> str:
    return f"; write {_OTHERS[word]}" if word in _OTHERS else ""


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
