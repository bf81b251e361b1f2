"""What every integration owes, each tried with the real framework: one table, one list of duties."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.domain import Action, Recommendation
from monitor.reader.api import Api
from monitor.roles import Role, read
from monitor.run.start import Run, init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink
from tests.integrations.frameworks import FRAMEWORKS, Framework, Plan

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.slow] * slow) for n, (_, slow) in FRAMEWORKS.items()])
def framework(request: pytest.FixtureRequest) -> Framework:
    return FRAMEWORKS[request.param][0]()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    folder = tmp_path / "out"
    folder.mkdir()
    return Plan(folder)


def end(sink: MemorySink, run: Run) -> tuple[object, object]:
    (event,) = sink.events(run.id, "finish")
    return event.data["status"], event.data["error"]


def config(sink: MemorySink, run: Run) -> dict[str, object]:
    events = [event.data["config"] for kind in ("run", "config") for event in sink.events(run.id, kind)]
    return {k: v for each in events for k, v in each.items()}  # type: ignore[attr-defined]


def series(sink: MemorySink, run: Run) -> dict[str, list[tuple[int, float]]]:
    keys = {key for batch in sink.batches if batch.run_id == run.id for key in batch.keys}
    return {key: sink.points(run.id, key) for key in keys}


def of_role(found: dict[str, list[tuple[int, float]]], role: Role) -> list[list[tuple[int, float]]]:
    roles = read(tuple(found)).roles
    return [points for key, points in found.items() if roles[key] is role]


def test_losses_have_their_roles_and_steps_and_every_set_is_kept(
    framework: Framework, plan: Plan, runs: list[Run], sink: MemorySink
) -> None:
    done = framework.train(framework.make(), plan)
    (run,) = runs
    found = series(sink, run)
    assert done.epochs == plan.epochs
    trained, held = of_role(found, Role.TRAIN), of_role(found, Role.VAL)
    assert len(trained) == 1
    steps = [step for step, _ in trained[0]]
    assert steps == sorted(set(steps))
    if framework.name != "stable_baselines3":  # its losses come between rollouts, and it validates nothing
        assert len(steps) == plan.epochs * framework.steps
        assert len(held) == 1
        assert [value for _, value in held[0]] == pytest.approx(done.val)
        assert [step for step, _ in held[0]] == steps[framework.steps - 1 :: framework.steps]
    else:
        assert not held
        assert [value for _, value in found["rollout/ep_rew_mean"]]
    if done.train:
        assert [value for _, value in trained[0]] == pytest.approx(done.train, rel=1e-4)
    for key, values in done.others.items():
        assert [value for _, value in found[key]] == pytest.approx(values), key


def test_the_configuration_is_data(framework: Framework, plan: Plan, runs: list[Run], sink: MemorySink) -> None:
    framework.train(framework.make(), plan)
    found = config(sink, runs[0])

    def within(part: Any, whole: Any) -> bool:
        return all(within(v, whole[k]) if isinstance(v, dict) else whole[k] == v for k, v in part.items())

    assert within(framework.config, found), found
    assert " object at 0x" not in str(found)


def test_checkpoints_are_listed_while_they_are_there(
    framework: Framework, plan: Plan, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not framework.keeps:
        pytest.skip("it writes none")
    callback = framework.make(run_id="a" * 32, settings=settings.model_copy(update={"shipper": "thread"}))
    done = framework.train(callback, plan)
    with Api(settings=settings) as api:
        listed = api.run("a" * 32).checkpoints()
        saved = [event.data for event in api.run("a" * 32).events() if event.kind == "checkpoint"]
    assert sorted(found.path for found in listed) == [str(path) for path in done.kept]
    assert len({found.step for found in listed}) >= min(2, len(done.kept)) - (framework.name == "lightning")
    assert len(saved) >= plan.epochs


def test_a_run_ends_as_the_training_does_and_another_training_begins_another(
    framework: Framework, plan: Plan, runs: list[Run], sink: MemorySink
) -> None:
    callback = framework.make(project="mine", name="n", tags=["a"], group="g", run_id="f" * 32)
    for error in (RuntimeError("boom"), KeyboardInterrupt(), None):
        plan.error = error
        if error is None:
            framework.train(callback, plan)
        else:
            with pytest.raises((type(error), Exception)):  # CatBoost makes errors of its own of them
                framework.train(callback, plan)
    assert [end(sink, run)[0] for run in runs] == ["failed", "failed", "finished"]
    assert "boom" in str(end(sink, runs[0])[1])
    assert end(sink, runs[1])[1] == "stopped by user"
    begun = [sink.events(run.id, "run")[0].data for run in runs]
    assert {(data["project"], data["name"], data["group"], str(data["tags"])) for data in begun} == {
        ("mine", "n", "g", "{'a': ''}")
    }
    assert runs[0].id == "f" * 32
    assert len({run.id for run in runs}) == 3
    first = [min(step for points in series(sink, run).values() for step, _ in points) for run in runs]
    assert len(set(first)) == 1  # nothing of one training leaks into the steps of the next


def test_a_run_that_was_given_stays_open_and_goes_on_counting(
    framework: Framework, plan: Plan, run: Run, sink: MemorySink
) -> None:
    callback = framework.make(**{framework.given: run})
    for _ in range(2):
        framework.train(callback, plan)
    assert not sink.events(run.id, "finish")
    run.finish()
    assert end(sink, run) == ("finished", None)
    (trained,) = of_role(series(sink, run), Role.TRAIN)
    steps = [step for step, _ in trained]
    assert len(steps) >= 2 * (plan.epochs - 1) * framework.steps
    assert steps == sorted(set(steps))


def test_a_run_is_resumed_at_the_step_after_its_last(framework: Framework, plan: Plan, settings: Settings) -> None:
    # The second training begins with a fresh model: its loss jumps up, which is rightly judged as a divergence.
    place = settings.model_copy(update={"shipper": "thread", "stop": {"*": "alert"}})
    for _ in range(2):
        framework.train(framework.make(run_id="a" * 32, resume="allow", settings=place), plan)
    with Api(settings=place) as api:
        view = api.run("a" * 32)
        (key,) = (s.key for s in view.series() if s.role is Role.TRAIN)
        steps = view.history(key).steps.tolist()
        assert (view.info.attempt, view.info.status) == (2, "finished")
    assert len(steps) >= 2 * (plan.epochs - 1) * framework.steps
    assert steps == sorted(set(steps))


def test_a_training_ends_where_the_run_says_so_and_the_next_one_does_not(
    framework: Framework, plan: Plan, runs: list[Run], sink: MemorySink
) -> None:
    def seen(epoch: int) -> None:
        if epoch == 1:
            sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="enough")
            runs[-1].log({"hint": 1.0}, step=0)
            runs[-1].flush(60)

    plan.epochs, plan.seen = 40, seen
    callback = framework.make()
    assert 2 <= framework.train(callback, plan).epochs < 10
    assert end(sink, runs[0])[0] == "stopped"
    sink.recommendation = Recommendation()
    plan.epochs, plan.seen = 4, lambda epoch: None
    assert framework.train(callback, plan).epochs == 4
    assert end(sink, runs[1])[0] == "finished"


def test_the_early_stopping_of_the_framework_works_beside_ours(
    framework: Framework, plan: Plan, runs: list[Run], sink: MemorySink
) -> None:
    plan.epochs, plan.theirs = 12, True
    assert framework.train(framework.make(), plan).epochs < 8
    assert end(sink, runs[0]) == ("finished", None)


def test_a_server_that_is_away_is_not_waited_for_again_and_again(
    framework: Framework, plan: Plan, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = settings.model_copy(
        update={"finish_timeout_s": 0.1, "shipper": "thread", "server_url": "http://127.0.0.1:9"}
    )
    run = init("p", settings=away)
    waits: list[object] = []
    shipper = run._writer.shipper  # type: ignore[union-attr]
    drain = shipper.drain  # type: ignore[union-attr]
    monkeypatch.setattr(shipper, "drain", lambda *a, **k: waits.append(a) or drain(*a, **k))
    plan.epochs = 12
    framework.train(framework.make(**{framework.given: run}), plan)
    assert len(waits) <= 2
    run.finish()


def test_a_copy_of_a_callback_starts_a_run_of_its_own(
    framework: Framework, plan: Plan, runs: list[Run], tmp_path: Path
) -> None:
    callback = framework.make(project="mine")
    copies: list[Any] = []
    copying: Callable[[Any], Any] = copy.deepcopy if framework.name != "lightning" else pickle_copy
    plan.seen = lambda epoch: copies.append(copying(callback)) if not copies else None
    if framework.name == "stable_baselines3":
        pytest.skip("its callbacks hold the model and its environment, and are not copied")
    framework.train(callback, plan)
    plan.seen = lambda epoch: None
    framework.train(copies[0], plan)
    assert len({run.id for run in runs}) == 2
    assert {run.project for run in runs} == {"mine"}


def pickle_copy(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))
