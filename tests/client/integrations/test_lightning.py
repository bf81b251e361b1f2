from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

lightning = pytest.importorskip("lightning.pytorch")
torch = pytest.importorskip("torch")

from monitor.client.integrations.lightning import MonitorCallback, MonitorLogger  # noqa: E402  # after what may be missing
from monitor.client.run import Run  # noqa: E402
from monitor.client.sinks import MemorySink  # noqa: E402

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
    saved = [e.data for e in sink.events(run.id, "checkpoint")]
    assert saved
    assert Path(str(saved[-1]["path"])).exists()


def test_stops_where_the_run_says_so(run: Run, tmp_path: Path, stop: Callable[[], None]) -> None:
    stop()
    trainer = train(tmp_path, MonitorLogger(run=run), [MonitorCallback()], 200)
    run.finish()
    assert trainer.current_epoch < 50  # type: ignore[attr-defined]
