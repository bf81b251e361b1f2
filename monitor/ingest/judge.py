"""The engine's part of a batch: what it is shown, and where its answer is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monitor.alerts import alerts_for
from monitor.domain import Finding
from monitor.errors import RulesError, RunNotFound
from monitor.roles import Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, State, Update
from monitor.rules.replay import merge
from monitor.store import Store, Transaction
from monitor.store.append import Appended
from monitor.wire import Batch


def judge(tx: Transaction, engine: Engine, batch: Batch, done: Appended) -> None:
    """Show the engine the points of the judged series, in the order in which they were logged.

    A state of another version of the engine cannot be read: the run is judged anew from its stored curves, of which
    this batch is a part by now.

    Args:
        done: what `Transaction.append` answered for this batch.
    """
    codes = np.full(len(batch.keys), 255, np.uint8)
    for k, series in done.states.items():
        if series.judged:
            codes[k] = ROLE_CODES[Role(series.role)]
    role = codes[batch.points.key]
    seen = role != 255
    if not seen.any():
        return
    points = batch.points
    stored = tx.engine_state()
    try:
        state = engine.start("step", _loss(tx)) if stored is None else State.from_bytes(stored)
    except RulesError:
        _replay(tx, engine)
        return
    fed = EnginePoints(role[seen], points.step[seen].astype(np.float64), points.value[seen])
    update = engine.update(state, fed)
    _keep(tx, engine, update, update.changes, new=stored is None)


def rejudge(store: Store, engine: Engine, run_id: str, *, now_ms: int) -> None:
    """Judge a stored run anew, with the rules as they are now; its findings so far are replaced.

    Alerts go out for what is found now and was not found before.

    Raises:
        RunNotFound: no run has this id.
    """
    with store.write(run_id, now_ms) as tx:
        if not tx.exists:
            raise RunNotFound(run_id)
        _replay(tx, engine)


def _replay(tx: Transaction, engine: Engine) -> None:
    new = tx.engine_state() is None
    known = {(found.rule, found.onset_step) for found in tx.findings()}
    curves = tx.judged()
    order = (Role.LR, Role.GRAD_NORM, Role.TRAIN, Role.VAL)
    series = {role: np.column_stack([c.steps, c.values]) for role in order if (c := curves.get(str(role))) is not None}
    update = engine.update(engine.start("step", _loss(tx)), merge(series))
    tx.forget_findings()
    news = [found for found in update.changes if (found.rule, found.onset_step) not in known]
    _keep(tx, engine, update, news, new=new)


def _keep(tx: Transaction, engine: Engine, update: Update, news: Sequence[Finding], *, new: bool) -> None:
    tx.save_engine(update.state.to_bytes(), engine.config.hash, new=new)
    tx.set(
        verdict=update.verdict,
        headline=update.headline,
        recommendation=update.recommendation.to_dict(),
        action=str(update.recommendation.action),
        counts=update.counts.to_dict(),
    )
    tx.save_findings(update.changes)
    if news and not imported(tx):
        tx.add_alerts(alerts_for(tx.run, news, now_ms=tx.now_ms))


def imported(tx: Transaction) -> bool:
    """True for a run that was read from elsewhere after it had ended: nobody is to be alerted about it."""
    capture = tx.get("capture")
    return isinstance(capture, Mapping) and "imported" in capture


def _loss(tx: Transaction) -> Mapping[str, object] | None:
    loss = tx.get("loss")
    return loss if isinstance(loss, Mapping) else None
