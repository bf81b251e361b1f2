"""A short training in each framework, with the same switches, for the tests of what every integration owes.

Each is about the same: 64 samples of 4 features whose sum is to be found, a few epochs, two held-out sets where the
framework takes several.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
X = np.random.default_rng(0).normal(size=(64, 4)).astype("f4")
Y = X.sum(1)


@dataclass
class Plan:
    """What is to happen in a training.

    Attributes:
        folder: where it may write.
        epochs: epochs, or rounds of boosting.
        error: raised in the middle of it.
        theirs: whether the framework's own early stopping is there too, and ends it after two epochs.
        seen: called after each epoch.
    """

    folder: Path
    epochs: int = 4
    error: BaseException | None = None
    theirs: bool = False
    seen: Callable[[int], None] = lambda epoch: None

    def epoch(self, number: int) -> None:
        """What a hook of the test's own does at the end of an epoch, counted from 0."""
        self.seen(number)
        if number == 1 and self.error is not None:
            raise self.error


@dataclass
class Done:
    """What the framework itself says of a training.

    Attributes:
        epochs: how many there were.
        train: its training losses, as far as it keeps them.
        val: its validation losses, of the set that is judged.
        others: further series that are to be there, and their values.
        kept: the checkpoints that are there afterwards.
        model: what to go on with.
    """

    epochs: int
    train: list[float] = field(default_factory=list)
    val: list[float] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)
    model: Any = None


@dataclass(frozen=True)
class Framework:
    """A framework and how to train with it.

    Attributes:
        name: its integration's module.
        make: makes the callback, given what an integration takes.
        train: trains.
        config: a part of the configuration that a run is to have.
        steps: points of the training loss in an epoch.
        keeps: whether the integration notes checkpoints.
        stops_itself: whether the framework has early stopping of its own that a test can bring about.
        given: what the callback calls the run that it is given.
    """

    name: str
    make: Callable[..., Any]
    train: Callable[[Any, Plan], Done]
    config: dict[str, object]
    steps: int = 1
    keeps: bool = True
    stops_itself: bool = True
    given: str = "run"


def xgboost() -> Framework:
    xgb = pytest.importorskip("xgboost")
    from monitor.integrations.xgboost import MonitorCallback

    class Hook(xgb.callback.TrainingCallback):  # type: ignore[misc]
        def __init__(self, plan: Plan) -> None:
            self.plan = plan

        def after_iteration(self, model: object, epoch: int, log: object) -> bool:
            self.plan.epoch(epoch)
            return False

    def train(callback: Any, plan: Plan) -> Done:
        sets = [xgb.DMatrix(X, Y), xgb.DMatrix(X[:32], -Y[:32]), xgb.DMatrix(X[32:], Y[32:])]
        told: dict[str, Any] = {}
        model = xgb.train(
            {"nthread": 1, "eta": 0.5}, sets[0], plan.epochs, verbose_eval=False, evals_result=told,
            evals=[(sets[0], "train"), (sets[1], "val"), (sets[2], "other")][: 2 if plan.theirs else 3],
            callbacks=[callback, Hook(plan)], early_stopping_rounds=1 if plan.theirs else None,
        )  # fmt: skip
        others = {} if plan.theirs else {"other/rmse": told["other"]["rmse"]}
        return Done(model.num_boosted_rounds(), told["train"]["rmse"], told["val"]["rmse"], others)

    return Framework("xgboost", MonitorCallback, train, {"eta": 0.5}, keeps=False)


def lightgbm() -> Framework:
    lgb = pytest.importorskip("lightgbm")
    from monitor.integrations.lightgbm import MonitorCallback

    def train(callback: Any, plan: Plan) -> Done:
        data = lgb.Dataset(X, Y)
        val, other = data.create_valid(X[:32], -Y[:32]), data.create_valid(X[32:], Y[32:])
        told: dict[str, Any] = {}
        more = [lgb.early_stopping(1, verbose=False)] if plan.theirs else []
        model = lgb.train(
            {"objective": "l2", "verbose": -1, "num_threads": 1, "learning_rate": 0.5, "min_data_in_leaf": 2}, data,
            plan.epochs, valid_sets=[data, val, other][: 2 if plan.theirs else 3],
            valid_names=["train", "val", "other"][: 2 if plan.theirs else 3],
            callbacks=[lgb.record_evaluation(told), callback, lambda env: plan.epoch(env.iteration), *more],
        )  # fmt: skip
        others = {} if plan.theirs else {"other/l2": told["other"]["l2"]}
        return Done(model.num_trees(), told["train"]["l2"], told["val"]["l2"], others)

    return Framework("lightgbm", MonitorCallback, train, {"learning_rate": 0.5}, keeps=False)


def catboost() -> Framework:
    cb = pytest.importorskip("catboost")
    from monitor.integrations.catboost import MonitorCallback

    class Hook:
        def __init__(self, plan: Plan) -> None:
            self.plan = plan

        def after_iteration(self, info: Any) -> bool:
            self.plan.epoch(info.iteration - 1)
            return True

    def train(callback: Any, plan: Plan) -> Done:
        model = cb.CatBoostRegressor(
            iterations=plan.epochs, thread_count=1, learning_rate=0.5, verbose=False, allow_writing_files=False,
            custom_metric=["MAE"], early_stopping_rounds=1 if plan.theirs else None,
        )  # fmt: skip
        sets = [(X[:32], -Y[:32])] if plan.theirs else [(X[:32], -Y[:32]), (X[32:], Y[32:])]
        model.fit(X, Y, eval_set=sets, callbacks=[callback, Hook(plan)])
        told = model.get_evals_result()
        val = told.get("validation_0") or told["validation"]
        others = (
            {}
            if plan.theirs
            else {"validation_1/RMSE": told["validation_1"]["RMSE"], "learn/MAE": told["learn"]["MAE"]}
        )
        return Done(len(val["RMSE"]), told["learn"]["RMSE"], val["RMSE"], others)

    return Framework("catboost", MonitorCallback, train, {"learning_rate": 0.5}, keeps=False)


def keras() -> Framework:
    keras = pytest.importorskip("keras")
    from monitor.integrations.keras import MonitorCallback

    class Hook(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, plan: Plan) -> None:
            super().__init__()
            self.plan = plan

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.plan.epoch(epoch)

    def train(callback: Any, plan: Plan) -> Done:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
        stopping = keras.callbacks.EarlyStopping(monitor="val_mae", mode="max", patience=1, min_delta=100)
        more = [stopping] if plan.theirs else []
        files = str(plan.folder / "{epoch}.keras")
        saving = keras.callbacks.ModelCheckpoint(files)
        done = model.fit(
            X, Y, validation_data=(X[:32], Y[:32]), epochs=plan.epochs, batch_size=16, verbose=0,
            callbacks=[saving, callback, Hook(plan), *more],
        )  # fmt: skip
        kept = [plan.folder / f"{epoch + 1}.keras" for epoch in done.epoch]
        return Done(len(done.epoch), [], done.history["val_loss"], {"val/mae": done.history["val_mae"]}, kept)

    return Framework("keras", MonitorCallback, train, {"epochs": 4, "optimizer": {"name": "SGD"}}, steps=4)


def huggingface() -> Framework:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from monitor.integrations.huggingface import MonitorCallback

    class Tiny(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 1)

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            out = self.linear(x)
            return {"loss": (out[:, 0] - labels).square().mean(), "logits": out}

    class Hook(transformers.TrainerCallback):  # type: ignore[misc]
        def __init__(self, plan: Plan) -> None:
            self.plan = plan

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.plan.epoch(round(state.epoch) - 1)

    def train(callback: Any, plan: Plan) -> Done:
        rows = [{"x": torch.tensor(x), "labels": torch.tensor(y)} for x, y in zip(X, Y, strict=True)]
        best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_news_loss", "greater_is_better": True}
        arguments = transformers.TrainingArguments(
            output_dir=str(plan.folder), num_train_epochs=plan.epochs, per_device_train_batch_size=16, logging_steps=1,
            eval_strategy="epoch", save_strategy="epoch", save_total_limit=2, report_to="none", disable_tqdm=True,
            use_cpu=True, learning_rate=0.05, **(best if plan.theirs else {}),
        )  # fmt: skip
        stopping = transformers.EarlyStoppingCallback(early_stopping_patience=1, early_stopping_threshold=100)
        made = transformers.Trainer(
            Tiny(), arguments, train_dataset=rows, eval_dataset={"news": rows[:32], "wiki": rows[32:]},
            callbacks=[callback, Hook(plan), *([stopping] if plan.theirs else [])],
        )  # fmt: skip
        made.train()
        history = made.state.log_history
        return Done(
            made.state.global_step // 4,
            [row["loss"] for row in history if "loss" in row],
            [row["eval_news_loss"] for row in history if "eval_news_loss" in row],
            {"val/wiki/loss": [row["eval_wiki_loss"] for row in history if "eval_wiki_loss" in row]},
            sorted(plan.folder.glob("checkpoint-*")),
        )

    return Framework("huggingface", MonitorCallback, train, {"learning_rate": 0.05}, steps=4)


def lightning() -> Framework:
    pl = pytest.importorskip("lightning.pytorch")
    torch = pytest.importorskip("torch")
    from monitor.integrations.lightning import MonitorCallback, MonitorLogger

    class Tiny(pl.LightningModule):  # type: ignore[misc]
        def __init__(self, plan: Plan, lr: float = 0.05) -> None:
            super().__init__()
            self.save_hyperparameters(ignore="plan")
            self.linear, self.plan = torch.nn.Linear(4, 1), plan
            self.seen: dict[str, list[float]] = {"train": [], "val": []}

        def loss(self, batch: Any) -> Any:
            return (self.linear(batch)[:, 0] - batch.sum(1)).square().mean()

        def training_step(self, batch: Any, i: int) -> Any:
            loss = self.loss(batch)
            self.seen["train"].append(loss.item())
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, i: int) -> None:
            loss = self.loss(batch)
            self.seen["val"].append(loss.item())
            self.log("val_loss", loss)

        def on_train_epoch_end(self) -> None:
            self.plan.epoch(self.current_epoch)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.05)

    def train(logger: Any, plan: Plan) -> Done:
        saving = pl.callbacks.ModelCheckpoint(plan.folder, monitor="val_loss", save_top_k=1, save_last=True)
        stopping = pl.callbacks.EarlyStopping("val_loss", mode="max", patience=1, min_delta=100)
        trainer = pl.Trainer(
            max_epochs=plan.epochs, logger=logger, default_root_dir=plan.folder, log_every_n_steps=1, accelerator="cpu",
            callbacks=[MonitorCallback(), saving, *([stopping] if plan.theirs else [])], num_sanity_val_steps=0,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        data, model = torch.tensor(X), Tiny(plan)
        batches = torch.utils.data.DataLoader(data, batch_size=16)
        try:
            trainer.fit(model, batches, torch.utils.data.DataLoader(data[:32], batch_size=32))
        except SystemExit as left:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from left
        epochs = trainer.current_epoch
        return Done(epochs, model.seen["train"], model.seen["val"], {}, sorted(plan.folder.glob("*.ckpt")))

    return Framework("lightning", MonitorLogger, train, {"lr": 0.05}, steps=4)


def ignite() -> Framework:
    engines = pytest.importorskip("ignite.engine")
    handlers = pytest.importorskip("ignite.handlers")
    metrics = pytest.importorskip("ignite.metrics")
    torch = pytest.importorskip("torch")
    from monitor.integrations.ignite import MonitorLogger

    def train(logger: Any, plan: Plan) -> Done:
        model = torch.nn.Linear(4, 1)
        optimizer, mse = torch.optim.SGD(model.parameters(), lr=0.05), torch.nn.MSELoss()
        trainer = engines.create_supervised_trainer(model, optimizer, mse)
        sets = {
            name: engines.create_supervised_evaluator(model, {"loss": metrics.Loss(mse)})
            for name in ("train", "val", "other")
        }
        data = [(torch.tensor(X[i : i + 16]), torch.tensor(Y[i : i + 16, None])) for i in range(0, 64, 16)]
        done = Done(0)

        @trainer.on(engines.Events.ITERATION_COMPLETED)
        def _() -> None:
            done.train.append(trainer.state.output)

        @trainer.on(engines.Events.EPOCH_COMPLETED)
        def _() -> None:
            for evaluator in sets.values():
                evaluator.run(data[:2])
            done.val.append(sets["val"].state.metrics["loss"])
            done.others.setdefault("other/loss", []).append(sets["other"].state.metrics["loss"])

        saving = handlers.ModelCheckpoint(plan.folder, n_saved=2, require_empty=False)
        trainer.add_event_handler(engines.Events.EPOCH_COMPLETED, saving, {"model": model})
        logger.attach(trainer, evaluators=sets, optimizer=optimizer, checkpoints=[saving], config={"width": 4})
        if plan.theirs:
            stopping = handlers.EarlyStopping(1, lambda engine: -engine.state.epoch, trainer)
            trainer.add_event_handler(engines.Events.EPOCH_COMPLETED, stopping)
        trainer.add_event_handler(engines.Events.EPOCH_COMPLETED, lambda engine: plan.epoch(engine.state.epoch - 1))
        trainer.run(data, max_epochs=plan.epochs)
        done.epochs, done.kept = trainer.state.epoch, sorted(plan.folder.glob("*.pt"))
        return done

    return Framework("ignite", MonitorLogger, train, {"width": 4, "max_epochs": 4}, steps=4)


def skorch() -> Framework:
    skorch = pytest.importorskip("skorch")
    torch = pytest.importorskip("torch")
    from monitor.integrations.skorch import MonitorCallback

    class Hook(skorch.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, plan: Plan) -> None:
            self.plan = plan

        def on_epoch_begin(self, net: Any, **_: Any) -> None:
            if len(net.history) > 1:
                self.plan.seen(len(net.history) - 2)

    class Bomb(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, plan: Plan | None = None) -> None:
            super().__init__()
            self.linear, self.plan, self.calls = torch.nn.Linear(4, 1), plan, 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            if self.plan is not None and self.plan.error is not None and self.calls > 8:
                raise self.plan.error
            return self.linear(x)

    def train(callback: Any, plan: Plan) -> Done:
        saving = skorch.callbacks.Checkpoint(dirname=str(plan.folder), monitor=None, f_params="{last_epoch[epoch]}.pt")
        more = [skorch.callbacks.EarlyStopping(patience=2, threshold=100.0)] if plan.theirs else []
        net = skorch.NeuralNetRegressor(
            Bomb, module__plan=plan, max_epochs=plan.epochs, lr=0.05, batch_size=16, verbose=0,
            train_split=skorch.dataset.ValidSplit(4), callbacks=[saving, callback, Hook(plan), *more],
        )  # fmt: skip
        net.fit(X, Y[:, None])
        if isinstance(plan.error, KeyboardInterrupt):  # skorch keeps it for itself
            raise plan.error
        rows = [row for row in net.history if "valid_loss" in row]
        return Done(
            len(rows),
            [batch["train_loss"] for row in rows for batch in row["batches"] if "train_loss" in batch],
            [row["valid_loss"] for row in rows],
            {},
            sorted(plan.folder.glob("[0-9]*.pt")),
        )

    return Framework("skorch", MonitorCallback, train, {"lr": 0.05, "max_epochs": 4}, steps=3)


def fastai() -> Framework:
    pytest.importorskip("fastai")
    torch = pytest.importorskip("torch")
    from fastai.callback.tracker import EarlyStoppingCallback, SaveModelCallback
    from fastai.data.core import DataLoaders
    from fastai.learner import Callback, Learner

    from monitor.integrations.fastai import MonitorCallback

    class Hook(Callback):  # type: ignore[misc]
        order = 70

        def __init__(self, plan: Plan) -> None:
            super().__init__()
            self.plan = plan

        def after_epoch(self) -> None:
            self.plan.epoch(self.learn.epoch)

    def train(callback: Any, plan: Plan) -> Done:
        def mae(out: Any, y: Any) -> Any:
            return (out - y).abs().mean()

        data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y[:, None]))
        batches = torch.utils.data.DataLoader(data, batch_size=16)
        learn = Learner(
            DataLoaders(batches, batches), torch.nn.Linear(4, 1), loss_func=torch.nn.MSELoss(), lr=0.05, metrics=mae,
            path=plan.folder, model_dir=plan.folder,
            cbs=[SaveModelCallback(every_epoch=1, fname="m")]
        )  # fmt: skip
        learn.remove_cb(learn.progress) if hasattr(learn, "progress") else None
        stopping = EarlyStoppingCallback(monitor="mae", comp=np.greater, min_delta=100, patience=1)
        with learn.no_logging(), warnings.catch_warnings(action="ignore"):
            learn.fit(plan.epochs, cbs=[callback, Hook(plan), *([stopping] if plan.theirs else [])])
        values = learn.recorder.values
        return Done(
            len(values), [], [row[1] for row in values], {"val/mae": [row[2] for row in values]},
            sorted(plan.folder.glob("*.pth")),
        )  # fmt: skip

    return Framework("fastai", MonitorCallback, train, {"n_epoch": 4, "model": "Linear"}, steps=4, given="monitor_run")


def stable_baselines3() -> Framework:
    sb3 = pytest.importorskip("stable_baselines3")
    callbacks = pytest.importorskip("stable_baselines3.common.callbacks")
    gym = pytest.importorskip("gymnasium")
    from monitor.integrations.stable_baselines3 import MonitorCallback

    class Walk(gym.Env):  # type: ignore[misc]
        action_space = gym.spaces.Discrete(2)
        observation_space = gym.spaces.Box(-9, 9, (1,))

        def reset(self, *, seed: int | None = None, options: object = None) -> Any:
            self.at = 0
            return np.zeros(1, "f4"), {}

        def step(self, action: int) -> Any:
            self.at += 1
            return np.full(1, self.at, "f4"), float(action), self.at == 8, False, {}

    class Hook(callbacks.BaseCallback):  # type: ignore[misc]
        def __init__(self, plan: Plan) -> None:
            super().__init__()
            self.plan, self.epochs = plan, 0

        def _on_step(self) -> bool:
            return not (self.plan.theirs and self.epochs == 2)

        def _on_rollout_end(self) -> None:
            self.plan.epoch(self.epochs)
            self.epochs += 1

    def train(callback: Any, plan: Plan) -> Done:
        model = sb3.PPO("MlpPolicy", Walk(), n_steps=16, batch_size=16, n_epochs=1, gamma=0.9, device="cpu")
        hook = Hook(plan)
        saving = callbacks.CheckpointCallback(16, str(plan.folder))
        model.learn(16 * plan.epochs, callback=[saving, callback, hook], log_interval=1)
        return Done(hook.epochs, [], [], {}, sorted(plan.folder.glob("*.zip")), model)

    return Framework("stable_baselines3", MonitorCallback, train, {"algorithm": "PPO", "gamma": 0.9})


FRAMEWORKS: dict[str, tuple[Callable[[], Framework], bool]] = {
    "xgboost": (xgboost, False),
    "lightgbm": (lightgbm, False),
    "catboost": (catboost, False),
    "keras": (keras, True),
    "huggingface": (huggingface, True),
    "lightning": (lightning, True),
    "ignite": (ignite, True),
    "skorch": (skorch, True),
    "fastai": (fastai, True),
    "stable_baselines3": (stable_baselines3, True),
}
"""Each framework, and whether it takes long to import."""
