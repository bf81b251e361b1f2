"""The loss that a run learns from a framework's own objects, each with the real library."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monitor import losses
from monitor.integrations import _losses
from monitor.run.start import Run, init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink
from monitor.store import Store

ROOT = Path(__file__).parents[3]
OWN = {
    "accelerate": "import accelerate.tracking",
    "huggingface": "from transformers import TrainerCallback; import transformers.integrations.integration_utils",
    "keras": "import keras",
    "lightgbm": "import lightgbm",
    "lightning": "import lightning.pytorch",
    "loop": "",
    "optuna": "import optuna",
    "catboost": "import catboost",
    "fastai": "import fastai.learner",
    "ignite": "import ignite.engine, ignite.handlers, ignite.distributed",
    "jax": "import jax",
    "pytorch": "import torch",
    "sklearn": "",
    "skorch": "import skorch",
    "stable_baselines3": "import stable_baselines3",
    "trl": "import transformers, accelerate, torch, transformers.integrations.integration_utils",
    "xgboost": "import xgboost",
}
"""What each integration needs, which may bring further frameworks by itself."""
FRAMEWORKS = (
    "accelerate", "catboost", "fastai", "ignite", "jax", "keras", "lightgbm", "lightning", "optuna", "sklearn",
    "skorch", "stable_baselines3", "torch", "transformers", "trl", "ultralytics", "xgboost",
)  # fmt: skip


def told(sink: MemorySink, run: Run) -> losses.LossSpec | None:
    run.finish()
    found = sink.events(run.id, "loss")
    assert len(found) <= 1
    return losses.from_dict(found[0].data["loss"]) if found else None  # type: ignore[arg-type]  # JSON


class TestARun:
    def test_keeps_what_it_was_told_first(self, settings: Settings, sink: MemorySink) -> None:
        run = init("p", settings=settings, sink=sink, loss="mse")
        assert run.loss_known
        _losses.tell(run, lambda: losses.parse("mae"))
        run.update_loss("mae")
        assert told(sink, run) is None

    def test_is_told_once(self, run: Run, sink: MemorySink) -> None:
        run.update_loss("mse")
        run.update_loss("mae")
        found = told(sink, run)
        assert found is not None
        assert found.kind == "mse"

    def test_goes_on_whatever_the_framework_raises(self, run: Run, sink: MemorySink) -> None:
        def read() -> None:
            raise ZeroDivisionError

        _losses.tell(run, read)
        _losses.tell(None, read)
        assert told(sink, run) is None

    def test_has_skill_in_the_store(self, settings: Settings) -> None:
        run = init("p", settings=settings)
        run.update_loss("cross_entropy(classes=10)")
        for step in range(300):
            run.log({"train/loss": 1.0 + math.exp(-step / 50)}, step=step)
        run.finish()
        with Store.open(settings.store_url) as store:
            loss = store.run(run.id).loss
        assert loss is not None
        assert loss["chance_level"] == pytest.approx(math.log(10))


class TestTorch:
    def test_reads_the_loss_and_the_classes_from_the_last_layer(self, run: Run, sink: MemorySink) -> None:
        torch = pytest.importorskip("torch")
        from monitor.integrations.pytorch import TorchLoop

        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 7))
        TorchLoop(run, model, loss=torch.nn.CrossEntropyLoss(label_smoothing=0.1))
        found = told(sink, run)
        assert found is not None
        assert found.kind == "cross_entropy"
        assert found.chance_level == pytest.approx(math.log(7))

    def test_reads_the_loss_that_the_model_keeps(self, run: Run, sink: MemorySink) -> None:
        torch = pytest.importorskip("torch")
        from monitor.integrations.pytorch import TorchLoop

        model = torch.nn.Linear(4, 1)
        model.criterion = torch.nn.BCEWithLogitsLoss()
        TorchLoop(run, model)
        found = told(sink, run)
        assert found is not None
        assert found.chance_level == pytest.approx(math.log(2))

    def test_does_not_guess_at_what_is_not_torchs(self, run: Run, sink: MemorySink) -> None:
        torch = pytest.importorskip("torch")
        from monitor.integrations.pytorch import TorchLoop

        TorchLoop(run, torch.nn.Linear(4, 3), loss=lambda a, b: (a - b).abs().mean())
        TorchLoop(run, torch.nn.Conv2d(1, 3, 3), loss=torch.nn.CrossEntropyLoss())
        assert told(sink, run) is None


def test_sklearn_reads_the_models_loss(run: Run, sink: MemorySink) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    from monitor.integrations.sklearn import fit

    x = np.random.default_rng(0).normal(size=(90, 2))
    model = linear_model.SGDClassifier(loss="log_loss")
    fit(model, x, np.arange(90) % 3, run, lambda *_: 1.0, classes=[0, 1, 2], epochs=1)
    found = told(sink, run)
    assert found is not None
    assert found.chance_level == pytest.approx(math.log(3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
class TestTheOthers:
    def test_lightning_reads_the_modules_criterion(self, run: Run, sink: MemorySink, tmp_path: Path) -> None:
        lightning, torch = pytest.importorskip("lightning.pytorch"), pytest.importorskip("torch")
        from monitor.integrations.lightning import MonitorCallback, MonitorLogger

        class Net(lightning.LightningModule):  # type: ignore[misc,name-defined]  # known at run time
            def __init__(self) -> None:
                super().__init__()
                self.net = torch.nn.Linear(2, 5)
                self.criterion = torch.nn.CrossEntropyLoss()

            def training_step(self, batch: object, _: int) -> object:
                return self.criterion(self.net(batch), torch.zeros(len(batch), dtype=torch.long))  # type: ignore[arg-type]

            def configure_optimizers(self) -> object:
                return torch.optim.SGD(self.parameters(), lr=0.1)

        trainer = lightning.Trainer(
            max_epochs=1, logger=MonitorLogger(run=run), callbacks=[MonitorCallback()], default_root_dir=tmp_path,
            accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(Net(), torch.utils.data.DataLoader(torch.randn(8, 2), batch_size=4))
        found = told(sink, run)
        assert found is not None
        assert found.chance_level == pytest.approx(math.log(5))

    @pytest.mark.parametrize(
        ("head", "more", "kind", "chance"),
        [
            ("GPT2LMHeadModel", {}, "language_model", math.log(64)),
            ("GPT2ForSequenceClassification", {"num_labels": 6, "pad_token_id": 0}, "cross_entropy", math.log(6)),
            ("GPT2ForTokenClassification", {"num_labels": 4}, "cross_entropy", math.log(4)),
            ("GPT2ForSequenceClassification", {"num_labels": 1, "pad_token_id": 0}, "mse", None),
        ],
    )
    def test_transformers_reads_head_and_configuration(
        self, head: str, more: dict[str, int], kind: str, chance: float | None
    ) -> None:
        transformers = pytest.importorskip("transformers")
        config = transformers.GPT2Config(vocab_size=64, n_positions=8, n_embd=8, n_layer=1, n_head=1, **more)
        found = _losses.of_transformer(getattr(transformers, head)(config))
        assert found is not None
        assert found.kind == kind
        assert found.chance_level == (None if chance is None else pytest.approx(chance))

    def test_the_trainers_callback_tells_it(self, run: Run, sink: MemorySink, tmp_path: Path) -> None:
        transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
        from monitor.integrations.huggingface import MonitorCallback

        config = transformers.GPT2Config(vocab_size=64, n_positions=8, n_embd=8, n_layer=1, n_head=1)
        rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(8)]
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=2, report_to="none", disable_tqdm=True, use_cpu=True, save_strategy="no"
        )
        model = transformers.GPT2LMHeadModel(config)
        transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[MonitorCallback(run)]).train()
        found = told(sink, run)
        assert found is not None
        assert found.chance_level == pytest.approx(math.log(64))

    @pytest.mark.parametrize("spelling", ["name", "object"])
    def test_keras_reads_what_the_model_was_compiled_with(self, run: Run, sink: MemorySink, spelling: str) -> None:
        os.environ.setdefault("KERAS_BACKEND", "torch")
        keras = pytest.importorskip("keras", exc_type=ImportError)
        from monitor.integrations.keras import MonitorCallback

        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(9, activation="softmax")])
        loss = "sparse_categorical_crossentropy"
        model.compile(loss=loss if spelling == "name" else keras.losses.SparseCategoricalCrossentropy())
        model.fit(np.zeros((8, 2), "f4"), np.zeros(8), epochs=1, verbose=0, callbacks=[MonitorCallback(run)])
        found = told(sink, run)
        assert found is not None
        assert found.chance_level == pytest.approx(math.log(9))

    @pytest.mark.parametrize(("classes", "chance"), [(2, math.log(2)), (3, math.log(3))])
    def test_xgboost_reads_the_metric(self, run: Run, sink: MemorySink, classes: int, chance: float) -> None:
        xgboost = pytest.importorskip("xgboost")
        from monitor.integrations.xgboost import MonitorCallback

        data = xgboost.DMatrix(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % classes)
        many = (
            {"objective": "multi:softprob", "num_class": classes} if classes > 2 else {"objective": "binary:logistic"}
        )
        xgboost.train(
            {**many, "nthread": 1},
            data,
            2,
            evals=[(data, "train")],
            verbose_eval=False,
            callbacks=[MonitorCallback(run)],
        )
        found = told(sink, run)
        assert found is not None
        assert found.chance_level == pytest.approx(chance)

    def test_lightgbm_reads_the_metric(self, run: Run, sink: MemorySink) -> None:
        lightgbm = pytest.importorskip("lightgbm")
        from monitor.integrations.lightgbm import MonitorCallback

        data = lightgbm.Dataset(np.random.default_rng(0).normal(size=(90, 2)), np.arange(90) % 3)
        parameters = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
        lightgbm.train(
            parameters, data, 2, valid_sets=[data], valid_names=["training"], callbacks=[MonitorCallback(run)]
        )
        found = told(sink, run)
        assert found is not None
        assert found.chance_level == pytest.approx(math.log(3))

    @pytest.mark.parametrize("name", OWN)
    def test_importing_one_integration_imports_no_other_framework(self, name: str) -> None:
        alone, _ = imported(OWN[name])
        frameworks, files = imported(f"{OWN[name]}\nimport monitor.integrations.{name}")
        assert frameworks <= alone
        assert files - {"_owned", "_losses", "_boosting"} - ({"huggingface"} if name == "trl" else set()) == {name}


def imported(code: str) -> tuple[set[str], set[str]]:
    """The frameworks and the integrations that are loaded after some imports, in a process of their own."""
    tell = """
import sys
print(*[n for n in {} if n in sys.modules])
print(*[n.rpartition(".")[2] for n in sys.modules if n.startswith("monitor.integrations.")])
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch"}
    done = subprocess.run(
        [sys.executable, "-c", code + tell.format(FRAMEWORKS)], env=env, capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("the library is not installed")
    frameworks, files = (set(line.split()) for line in done.stdout.split("\n")[-3:-1])
    return frameworks, files
