"""Hides what looks like a secret in the command line and configuration that a run records.

A value is a secret because of its name (`--auth X`, `wandb.api_key=X`, `HF_TOKEN=X`, `{"password": "X"}`), its position
(`postgres://u:X@host`, `Authorization: Bearer X`), or its shape (`ghp_...`, a JWT). Booleans and numbers of less than
eight digits are not secrets, so `--max-tokens 4096` and `--key-dim 64` stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

HIDDEN: Final = "***"


def _words(found: str) -> frozenset[str]:
    return frozenset(found.split())


_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PLAIN: Final = re.compile(r"[+-]?[0-9_.,]*(?:[eE][+-]?[0-9]{1,3})?|true|false|yes|no|on|off|none|null", re.IGNORECASE)
_PLAIN_DIGITS: Final = 8  # a longer number may be a token

_STRONG: Final = _words(
    "password passwd passphrase pwd secret secrets apikey apitoken credential credentials creds authorization "
    "privatekey secretkey accesskey authtoken accesstoken"
)
"""A name with one of these words is the name of a secret."""
_ENDS: Final = ("password", "passwd", "passphrase", "secret", "apikey")
_PAIRED: Final = frozenset(("key", "keys", "token", "tokens"))
_PAIRS: Final = frozenset(
    ("api", "access", "secret", "private", "auth", "encryption", "signing", "account", "storage", "subscription", "ssh")
)
"""Before a word of `_PAIRED`, these make the name of a secret: `api_key`, `access_token`."""
_WEAK: Final = frozenset(("token", "pass", "pw", "auth", "cookie", "cookies", "bearer", "pat", "jwt", "dsn"))
"""As the last word these make the name of a secret, unless a word of `_ORDINARY` comes before: `pad_token`."""
_ORDINARY: Final = _words(
    "bos eos pad unk sep cls mask image img video audio speech start end stop begin special next new prev last first "
    "second single multi two one forward backward low high band per think text word sub label target decoder "
    "prefix suffix middle blank eot eod eom eoc boi eoi boa eoa additional extra fim hole no use with skip num n"
)
_ABOUT: Final = _words(
    "file files path paths dir directory folder name names id ids length len dim size type count env var field url uri "
    "endpoint host user manager provider backend scheme mode method version through"
)
"""As the last word these name something about a secret, not the secret itself: `token_file`."""

_ASSIGNED: Final = re.compile(r"(?P<name>[\-+~]*[A-Za-z_][\w.\-]*)=(?P<value>.*)", re.DOTALL)
_NAMED: Final = re.compile(
    r"""(?<![\w.\-])(?P<name>[A-Za-z_][\w.\-]*)["']?\s*[:=]\s*["']?(?:(?:Bearer|Basic|Token)\s+)?"""
    r"""(?P<value>[^\s"',;&{}\[\]]{1,64})"""
)
_VALUE: Final = re.compile(r"""[^\s"',;&{}\[\]]*""")
_WORDS: Final = re.compile(r"[a-z]+(?:[ _\-./:][a-z]+)*")
"""Values of plain words are not keys, for instance the name of a column."""
_AUTHORITY: Final = re.compile(r"(?<![\w+.\-])(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://[^\s/?#:@]*):(?P<value>[^\s/?#]+)@")
_SCHEME: Final = re.compile(r"\b(?P<scheme>Bearer|Basic)(?P<between>\s+)(?P<value>[A-Za-z0-9._~+/\-]{8,}=*)")
_SHAPES: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w\-]{50,}"
    r"|(?:hf|api_org)_(?=[A-Za-z0-9]{0,60}[A-Z0-9])[A-Za-z0-9]{20,}"
    r"|sk-(?=[\w\-]{0,60}[0-9])[\w\-]{16,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w\-]{30,}|xox[abeprs]-[\w\-]{10,}"
    r"|eyJ[\w\-]{8,300}\.[\w\-]{8,}\.[\w\-]*"
    r")"
)
_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def is_secret(name: str, value: str = "X") -> bool:
    """True if the value of a setting with this name is a secret."""
    words = [word.lower() for word in _WORD.findall(name.rpartition(".")[2] or name)]
    if not words or _is_plain(value):
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    for first, word in zip(["", *words], words, strict=False):
        if word in _STRONG or word.endswith(_ENDS) or (first in _PAIRS and word in _PAIRED):
            return last not in _ABOUT or last == "id"
    if last == "key":
        return (len(words) == 1 and name.startswith("-")) or not _WORDS.fullmatch(value)
    return last in _WEAK and before not in _ORDINARY


def hide_text(found: str) -> str:
    """The text with its secrets hidden."""
    found = _KEY_BLOCK.sub(HIDDEN, found)
    if "://" in found:
        found = _AUTHORITY.sub(rf"\g<scheme>:{HIDDEN}@", found)
    at = done = 0
    parts: list[str] = []
    while (named := _NAMED.search(found, at)) is not None:
        at = named.start("value")
        if is_secret(named["name"], named["value"]):
            end = _VALUE.match(found, at)
            parts += [found[done:at], HIDDEN]
            at = done = named.end("value") if end is None else end.end()
    found = "".join([*parts, found[done:]])
    found = _SCHEME.sub(rf"\g<scheme>\g<between>{HIDDEN}", found)
    return _SHAPES.sub(HIDDEN, found)


def hide_command(argv: Sequence[str]) -> list[str]:
    """The command line with its secrets hidden."""
    shown: list[str] = []
    name = ""
    for word in argv:
        assigned = _ASSIGNED.fullmatch(word)
        flag = word.startswith("-") and not _is_plain(word)
        if name and not flag and is_secret(name, word):
            shown.append(HIDDEN)
        elif assigned is not None and is_secret(assigned["name"], assigned["value"]):
            shown.append(f"{assigned['name']}={HIDDEN}")
        else:
            shown.append(hide_text(word))
        name = word if flag and assigned is None else ""
    return shown


def hidden(config: Mapping[str, object]) -> dict[str, object]:
    """The configuration with its secrets hidden."""
    return {name: _hidden(value, name) for name, value in config.items()}


def _hidden(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        within = name if is_secret(name) else ""
        return {key: _hidden(item, within or str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, name) for item in value]
    if isinstance(value, str):
        return HIDDEN if is_secret(name, value) else hide_text(value)
    return HIDDEN if isinstance(value, int | float) and is_secret(name, str(value)) else value


def _is_plain(value: str) -> bool:
    """True for values that are never secret, whatever their name: a short number, a boolean, nothing."""
    return bool(_PLAIN.fullmatch(value)) and sum(map(str.isdecimal, value)) < _PLAIN_DIGITS
