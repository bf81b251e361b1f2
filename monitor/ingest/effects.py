"""What the events of a batch do to their run: configuration, tags, alerts, its end, and which events are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.alerts import finished_alert, status_alert
from monitor.domain import Alert, RunStatus, Severity
from monitor.ingest import stops
from monitor.ingest.aside import Aside, counted
from monitor.ingest.judge import imported
from monitor.limits import MAX_ALERTS, MAX_EVENTS, MAX_EXAMPLES, MAX_OUTPUT, MAX_RUN_MEDIA, MAX_TAGS, document
from monitor.store import Transaction, Writer
from monitor.wire import Batch, Event


def before_points(tx: Transaction, events: Sequence[Event], aside: Aside) -> None:
    """Apply the events that determine what the points mean, before the points are stored."""
    config: dict[str, object] = {}
    capture: dict[str, object] = {}
    for event in events:
        if event.kind == "config":
            config.update(_mapping(event.data["config"]))
        elif event.kind == "capture":
            capture.update(event.data)
        elif event.kind == "loss" and tx.get("loss") is None:  # what the user said earlier takes precedence
            tx.set(loss=dict(_mapping(event.data["loss"])))
    add_config(tx, "config", config, aside)
    add_config(tx, "capture", capture, aside)


def behind_points(tx: Transaction, events: Sequence[Event], writer: Writer, aside: Aside) -> None:
    """Apply the other events, after the points are stored."""
    tags: dict[str, str] = {}
    for event in events:
        if event.kind == "tags":
            tags.update({name: str(value) for name, value in _mapping(event.data["tags"]).items()})
        elif event.kind == "alert":
            _alert(tx, event, aside)
        elif event.kind == "stop":
            stops.acknowledge(tx, event)
        elif event.kind == "finish":
            finish(tx, event, writer)
    add_tags(tx, tags, aside)


def keep_events(tx: Transaction, batch: Batch, aside: Aside) -> None:
    """Store the events, and count what was set aside."""
    room = max(0, MAX_EVENTS - tx.counter("event_count"))
    events = [event for event in batch.events if event.kind not in ("output", "media")]
    if len(events) > room:
        aside("dropped", "events", f"a run keeps {MAX_EVENTS} events; the others only take effect", len(events) - room)
    told = aside.events(batch.first, tx.now_ms)
    if any(event.kind == "warning" for event in (*batch.events, *told)):
        tx.set(warnings=counted(counters(tx), (*batch.events, *told)))
    written = [event for event in batch.events if event.kind == "output"]
    if written:
        tx.add_output(written, MAX_OUTPUT)
    media = [event for event in batch.events if event.kind == "media"]
    if media:
        tx.add_media(media, MAX_RUN_MEDIA)
    tx.add_events(batch.writer, (*events, *told)[:room])
    if any(event.kind == "examples" for event in events):
        tx.trim_events("examples", MAX_EXAMPLES)


def add_config(tx: Transaction, column: str, more: Mapping[str, object], aside: Aside) -> None:
    """Merge values into the configuration or the capture. The limits apply to the result."""
    if more:
        known = tx.mapping(column)
        tx.set(**{column: document(dict(known) | dict(more), aside, column) if known else dict(more)})


def add_tags(tx: Transaction, more: Mapping[str, str], aside: Aside) -> None:
    """Add or change tags of the run, up to its limit."""
    known = tx.mapping("tags") if more else {}
    fresh = [name for name in more if name not in known]
    over = set(fresh[max(0, MAX_TAGS - len(known)) :])
    if over:
        aside("dropped", "tags", f"a run has {MAX_TAGS} tags at most", len(over))
    tx.merge_tags({name: value for name, value in more.items() if name not in over})


def finish(tx: Transaction, event: Event, writer: Writer) -> None:
    """End the run if its owner says so. An additional writer, or one of an older attempt, ends only itself."""
    run = tx.run
    # the writer watched the process exit
    waited = "exit_code" in event.data and not RunStatus(str(tx.get("status"))).ended
    if writer.attempt < run.attempt or (writer.joined and tx.get("owner") is not None and not waited):
        return
    status = RunStatus(str(event.data["status"]))
    if run.status is not status and not imported(tx):
        tx.end_alerts(f"the run {status}")
        if status is RunStatus.FAILED:
            tx.add_alerts([status_alert(replace(run, error=_text(event.data["error"])), status, now_ms=tx.now_ms)])
        else:
            tx.add_alerts([finished_alert(run, status, now_ms=tx.now_ms)])
    tx.set(status=str(status), finished_ms=max(happened_at(event, tx), run.created_ms), error=event.data["error"])
    if not run.status.ended:
        reason = event.data.get("reason")
        stops.end(tx, status, None if reason is None else str(reason))


def _alert(tx: Transaction, event: Event, aside: Aside) -> None:
    if tx.counter("alert_count") >= MAX_ALERTS:
        aside("dropped", "alert", f"a run gives {MAX_ALERTS} alerts at most", 1)
        return
    run, title = tx.run, str(event.data["title"])
    alert = Alert.of(
        run,
        kind="alert",
        state="firing",
        severity=Severity(str(event.data["severity"])),
        title=title,
        body=str(event.data["body"]),
        step=run.last_step,
        created_ms=tx.now_ms,
        dedup_key=f"{run.id}:alert:{title}"[:250],
    )
    tx.add_alerts([alert])


def happened_at(event: Event, tx: Transaction) -> int:
    """When an event happened by the writer's clock, so that a run shipped later keeps its times.

    Never in the future.
    """
    return min(event.time_ms, tx.now_ms) if event.time_ms > 0 else tx.now_ms


def counters(tx: Transaction) -> dict[str, int]:
    """The run's counters of what was corrected or set aside, by kind."""
    return {name: int(str(n)) for name, n in tx.mapping("warnings").items()}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
