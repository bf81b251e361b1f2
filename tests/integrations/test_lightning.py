from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

lightning = pytest.importorskip("lightning.pytorch")
torch = pytest.importorskip("torch")

from monitor.integrations.lightning import MonitorCallback, MonitorLogger  # noqa: E402  # after what may be missing
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Tiny(lightning.LightningModule):
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.linear = torch.nn.Linear(2, 1)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        loss = (self.linear(batch)[:, 0] - batch.sum(1)).square().mean()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: torch.Tensor, _: int) -> None:
        self.log("val_loss", (self.linear(batch)[:, 0] - batch.sum(1)).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(folder: Path, logger: MonitorLogger, callbacks: list[object], epochs: int) -> object:
    loader = torch.utils.data.DataLoader(torch.randn(64, 2), batch_size=8)
    trainer = lightning.Trainer(
        max_epochs=epochs, logger=logger, callbacks=callbacks, default_root_dir=folder, log_every_n_steps=1,
        accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Tiny(), loader, loader)
    return trainer


def test_logs_a_real_training(run: Run, sink: MemorySink, tmp_path: Path) -> None:
    train(tmp_path, MonitorLogger(run=run), [MonitorCallback()], 3)
    run.finish()
    assert [step for step, _ in sink.points(run.id, "train_loss")] == list(range(24))
    assert len(sink.points(run.id, "val_loss")) == 3
    assert sink.events(run.id, "config")[0].data == {"config": {"lr": 0.1}}
    saved = [e.data for e in sink.events(run.id, "checkpoint") if not e.data.get("deleted")]
    assert saved
    assert Path(str(saved[-1]["path"])).exists()


def test_stops_where_the_run_says_so(run: Run, tmp_path: Path, stop: Callable[[], None]) -> None:
    stop()
    trainer = train(tmp_path, MonitorLogger(run=run), [MonitorCallback()], 200)
    run.finish()
    assert trainer.current_epoch < 50  # type: ignore[attr-defined]


class Advice:
    """A run whose advice is what the test says, by epoch."""

    loss_known = True

    def __init__(self, stops: Callable[[int], bool]) -> None:
        self.stops, self.epoch = stops, 0

    def should_stop(self, wait_s: float = 0.0) -> bool:
        return self.stops(self.epoch)


class Counting(Tiny):
    def __init__(self, advice: Advice) -> None:
        super().__init__()
        self.advice, self.epochs = advice, 0

    def on_train_epoch_start(self) -> None:
        self.advice.epoch = self.trainer.current_epoch

    def on_train_epoch_end(self) -> None:
        self.epochs += 1


def epochs(advice: Advice, *more: object, validate: bool = False, **options: object) -> int:
    loader = torch.utils.data.DataLoader(torch.randn(16, 2), batch_size=8)
    trainer = lightning.Trainer(
        max_epochs=8, logger=False, callbacks=[MonitorCallback(advice), *more], accelerator="cpu",  # type: ignore[arg-type]
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        num_sanity_val_steps=0, **options,
    )  # fmt: skip
    model = Counting(advice)
    trainer.fit(model, loader, loader if validate else None)
    return model.epochs


def test_a_stop_that_is_withdrawn_before_it_could_be_obeyed_ends_nothing() -> None:
    assert epochs(Advice(lambda epoch: epoch == 2), min_epochs=6) == 8
    assert epochs(Advice(lambda epoch: epoch == 2), min_steps=12) == 8


def test_the_least_epochs_and_steps_are_honoured() -> None:
    assert epochs(Advice(lambda epoch: epoch >= 2)) == 3
    assert epochs(Advice(lambda epoch: epoch >= 2), min_epochs=6) == 6
    assert epochs(Advice(lambda epoch: epoch >= 2), min_steps=10) == 5


def test_a_stop_that_the_validation_withdraws_is_taken_back() -> None:
    advice = Advice(lambda epoch: epoch == 2)

    class Recovers(lightning.Callback):
        def on_validation_start(self, trainer: lightning.Trainer, module: Counting) -> None:
            advice.epoch = -1

    assert epochs(advice, Recovers(), validate=True) == 8


@pytest.mark.parametrize("first", [True, False])
def test_a_stop_of_somebody_else_is_left_alone(first: bool) -> None:
    advice = Advice(lambda epoch: first and epoch == 2)

    class Other(lightning.Callback):
        stopped_epoch = 0

        def on_validation_end(self, trainer: lightning.Trainer, module: Counting) -> None:
            if trainer.current_epoch == 2:
                trainer.should_stop = trainer.should_stop or True  # as Lightning's EarlyStopping does
                self.stopped_epoch = trainer.current_epoch

        def on_validation_start(self, trainer: lightning.Trainer, module: Counting) -> None:
            advice.epoch = -1

    assert epochs(advice, Other(), validate=True) == 3


def test_fit_and_test_are_one_run_and_another_fit_is_another(runs: list[Run], sink: MemorySink, tmp_path: Path) -> None:
    class Tested(Tiny):
        def test_step(self, batch: torch.Tensor, i: int) -> None:
            self.log("test_loss", (self.linear(batch)[:, 0] - batch.sum(1)).square().mean())

    loader = torch.utils.data.DataLoader(torch.randn(16, 2), batch_size=8)
    logger = MonitorLogger("mine")

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=1, logger=logger, default_root_dir=tmp_path, log_every_n_steps=1, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip

    first, model = trainer(), Tested()
    first.validate(model, loader, verbose=False)
    first.fit(model, loader, loader)
    first.test(model, loader, verbose=False)
    (run,) = runs
    assert [event.data["status"] for event in sink.events(run.id, "finish")] == ["finished"]
    assert [len(sink.points(run.id, key)) for key in ("train_loss", "val_loss", "test_loss")] == [2, 2, 1]
    trainer().fit(Tested(), loader, loader)
    assert len(runs) == 2
    assert sink.events(runs[1].id, "run")[0].data["config"] == {"lr": 0.1}
    assert len(sink.points(runs[1].id, "train_loss")) == 2


def test_the_callback_alone_says_what_is_missing() -> None:
    loader = torch.utils.data.DataLoader(torch.randn(16, 2), batch_size=8)
    trainer = lightning.Trainer(
        max_epochs=1, logger=False, callbacks=[MonitorCallback()], accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="MonitorLogger"):
        trainer.fit(Tiny(), loader)
