"""The bodies of the tabs of a run's page: configuration, environment, notes, alerts, output, events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from dashboard.markup import markdown, pieces
from dashboard.markup.pieces import code, flat, heading, hover, quiet, shown, table
from dashboard.markup.templates import fill, joined
from monitor.domain import SET_ASIDE, Delivery, Output, RunInfo, RunSnapshot, inert
from monitor.domain.formats import NOTHING, ago, clock, number, plain, step
from monitor.wire import Event, jsonable

EVENT_LIMIT: Final = 200
CAPTURED: Final = "capture"
"""The kind of the events that say what a run ran in; they have a tab of their own."""
_TABS: Final = "run_tabs"


def config(run: RunInfo, search: str = "") -> Markup:
    """The run's configuration, flat; the keys and values that hold every word of a search."""
    found = flat(run.config)
    if not found:
        return fill(_TABS, "nothing_to_configure")
    words = search.lower().split()
    kept = {k: v for k, v in sorted(found.items()) if all(w in f"{k} {plain(v)}".lower() for w in words)}
    rows = [(code(k), shown(v)) for k, v in kept.items()]
    whole = json.dumps(jsonable(dict(run.config)), indent=2, ensure_ascii=False, default=str)
    said = f"{len(kept)} of {len(found)} keys" if words else f"{len(found)} keys"
    body = table(("key", "value"), rows, css="lm-wrap lm-keys") if rows else quiet("No key or value holds this.")
    return fill(_TABS, "config", said=said, whole=whole) + body


def differing(run: RunInfo, other: RunInfo, mine: Sequence[Event], theirs: Sequence[Event]) -> Markup:
    """What differs between two runs: their configuration, and what they ran in."""
    parts = []
    for title, left, right in (
        ("Configuration", flat(run.config), flat(other.config)),
        ("Environment", about(mine), about(theirs)),
    ):
        odd, keys = pieces.odd_keys((left, right))
        parts.append(heading(f"{title}: {len(odd)} differ, {keys - len(odd)} are the same"))
        if odd:
            parts.append(pieces.by_key((run.name, other.name), (left, right), odd))
    return joined(parts)


def about(happened: Sequence[Event]) -> dict[str, object]:
    """What the newest attempt captured of what it ran in, flat; packages as `packages.NAME`."""
    captured = [event.data for event in happened if event.kind == CAPTURED]
    return {k: _listed(v) for k, v in flat(captured[-1]).items()} if captured else {}


def notes(run: RunInfo, note: str, problem: str = "", lacks: str = "") -> Markup:
    """The run's note with a field to change it, and its tags with a button at each; or the role that this takes."""
    identity: list[tuple[str, str]] = [("id", run.id), ("project", run.project), ("group", run.group or NOTHING)]
    for key, value in flat(run.loss or {}, "loss.").items():
        if value not in (None, [], {}):
            listed = "; ".join(_plain(v) for v in value) if isinstance(value, list) else value
            identity.append((key, plain(listed)))
    written = note or run.tags.get("mlflow.note.content", "")
    body = markdown.rendered(written) if written else Markup("")
    tags = sorted(run.tags.items())
    return fill(
        _TABS, "notes", run=run, note=note, body=body, tags=tags, identity=identity, problem=problem,
        lacks=lacks,
    )  # fmt: skip


def _plain(value: object) -> str:
    return number(value) if value is None or isinstance(value, float) else str(value)


def alerts(sent: Sequence[Delivery], now_ms: int, zone: tzinfo) -> Markup:
    """The run's alerts, newest first."""
    if not sent:
        return quiet("This run has raised no alert.")
    rows = [
        (hover(ago(d.alert.created_ms, now_ms), clock(d.alert.created_ms, zone)), pieces.chip(d.alert.kind),
         d.alert.state, step(d.alert.step), d.alert.title,
         "delivered" if d.delivered_ms is not None else d.error or "waiting")
        for d in sorted(sent, key=lambda d: -d.alert.created_ms)
    ]  # fmt: skip
    return table(("when", "alert", "state", "step", "what", "delivery"), rows, css="lm-wrap", numeric=(3,))


def environment(happened: Sequence[Event]) -> Markup:
    """What the run ran in, as its newest attempt captured it: command, commit, machine; then the packages."""
    captured = [event.data for event in happened if event.kind == CAPTURED]
    if not captured:
        return quiet("Nothing of the environment was captured.")
    packages = captured[-1].get("packages")
    rest = flat({k: v for k, v in captured[-1].items() if k != "packages"})
    rows = [(code(k), shown(_listed(v), limit=400)) for k, v in rest.items() if v not in (None, "", [])]
    body = [table(("", "captured"), rows, css="lm-wrap lm-keys")]
    if isinstance(packages, Mapping) and packages:
        versions = [(code(name), str(version)) for name, version in packages.items()]
        body += [heading(f"Packages ({len(versions)})"), table(("package", "version"), versions, css="lm-wrap lm-keys")]
    return joined(body)


def _listed(value: object) -> object:
    """A list as its items, one after the other."""
    return " ".join(str(each) for each in value) if isinstance(value, list | tuple) else value


def _said(fields: Mapping[str, object]) -> str:
    """An event's fields in a line, those that hold nothing left out."""
    return ", ".join(f"{k}: {v}" for k, v in flat(fields).items() if v not in (None, {}, [], ""))


def output(pieces_: Sequence[Output], search: str, zone: tzinfo, limit: int) -> Markup:
    """What the process printed, oldest first, each piece with its time; standard error is marked."""
    if not pieces_:
        return quiet("Nothing that was printed has this in it." if search else NO_OUTPUT)
    last = clock(pieces_[-1].time_ms, zone)
    cut = len(pieces_) == limit or (pieces_[0].position > len(pieces_[0].text) and not search)
    said = f"The last {len(pieces_):,} pieces, up to {last}" if cut else f"Up to {last}"
    rows = [
        (clock(piece.time_ms, zone), _SPOKE[piece.stream] if piece.step is None else f"step {step(piece.step)}",
         inert(piece.text.removesuffix("\n"), lines=True))
        for piece in pieces_
    ]  # fmt: skip
    return joined([quiet(said), fill(_TABS, "output", rows=rows)])


_SPOKE: Final = {"stdout": "", "stderr": "stderr", "text": "text"}
NO_OUTPUT: Final = (
    "No output was kept: start the training with monitor run, pass init(capture_output=True), "
    "or call run.log_text(text)."
)


def events(seen: RunSnapshot, happened: Sequence[Event], zone: tzinfo) -> Markup:
    """What was set aside, by counter, and the run's events, newest first."""
    body = []
    rows = [(k, f"{n:,}", SET_ASIDE.get(k, "")) for k, n in sorted(seen.info.warnings.items()) if n]
    if rows:
        body += [heading("What was not taken as it came"), table(("", "count", "meaning"), rows, numeric=(1,))]
    newest = [event for event in happened if event.kind != CAPTURED][::-1]
    lines = [(clock(h.time_ms, zone), h.kind, shown(_said(h.data), limit=400)) for h in newest[:EVENT_LIMIT]]
    if lines:
        more = f" ({EVENT_LIMIT} of {len(newest):,})" if len(newest) > EVENT_LIMIT else ""
        body += [heading(f"Events{more}"), table(("time", "event", "what"), lines, css="lm-wrap lm-events")]
    return joined(body) or quiet("Nothing was dropped, converted or late, and no event was recorded.")
