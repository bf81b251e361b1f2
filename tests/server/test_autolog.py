"""`mlflow.autolog()` with real frameworks against a server of both: judged while they train, and stopped by a tag."""

from __future__ import annotations

import pytest

from tests.server.test_native import Client, client, run_id_of  # noqa: F401  # `client` is a fixture

pytestmark = pytest.mark.slow
HEAD = """
import os, warnings
warnings.filterwarnings("ignore")
os.environ["KERAS_BACKEND"] = "torch"
import numpy as np, mlflow, monitor.mlflow
mlflow.autolog(log_models=False, log_datasets=False)
MOST = 3000
rng = np.random.default_rng(0)
x = rng.normal(size=(96, 20)).astype("f4")
y = (rng.random(96) < 0.5).astype("f4")  # noise: nothing to learn but by heart
"""
KERAS = """
import keras

class StopWhenTold(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if monitor.mlflow.should_stop():
            self.model.stop_training = True

model = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(1, "sigmoid")])
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
with mlflow.start_run(run_name="keras") as run:
    history = model.fit(x, y, epochs=MOST, validation_split=0.33, verbose=0, callbacks=[StopWhenTold()])
print(len(history.epoch))
print(run.info.run_id)
"""
LIGHTNING = """
import torch, pytorch_lightning as L

class StopWhenTold(L.Callback):
    def on_train_epoch_end(self, trainer, module):
        if monitor.mlflow.should_stop():
            trainer.should_stop = True

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    def _loss(self, batch, name):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self.net(batch[0])[:, 0], batch[1])
        self.log(name, loss, on_step=False, on_epoch=True)
        return loss
    def training_step(self, batch, _):
        return self._loss(batch, "train_loss")
    def validation_step(self, batch, _):
        return self._loss(batch, "val_loss")
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)

data = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
train, val = (torch.utils.data.DataLoader(part, 32) for part in torch.utils.data.random_split(data, [64, 32]))
trainer = L.Trainer(max_epochs=MOST, accelerator="cpu", logger=False, enable_checkpointing=False,
                    enable_progress_bar=False, enable_model_summary=False, callbacks=[StopWhenTold()])
with mlflow.start_run(run_name="lightning") as run:
    trainer.fit(Net(), train, val)
print(trainer.current_epoch)
print(run.info.run_id)
"""
# MLflow's general `autolog()` comes too late for this name of Lightning, wherever it logs to.
LIGHTNING_2 = LIGHTNING.replace("pytorch_lightning as L", "lightning as L\nmlflow.pytorch.autolog(log_models=False)")
XGBOOST = """
import time, xgboost

class StopWhenTold(xgboost.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        time.sleep(0.005)  # else it is over before an answer has come
        return monitor.mlflow.should_stop()

train, val = xgboost.DMatrix(x[:64], y[:64]), xgboost.DMatrix(x[64:], y[64:])
params = {"objective": "binary:logistic", "eval_metric": "logloss", "eta": 0.05}
with mlflow.start_run(run_name="xgboost") as run:
    booster = xgboost.train(params, train, MOST, evals=[(train, "train"), (val, "validation")], verbose_eval=False,
                            callbacks=[StopWhenTold()])
print(booster.num_boosted_rounds())
print(run.info.run_id)
"""


@pytest.mark.parametrize(
    ("program", "train", "val"),
    [
        (KERAS, "loss", "val_loss"),
        (LIGHTNING, "train_loss", "val_loss"),
        (LIGHTNING_2, "train_loss", "val_loss"),
        (XGBOOST, "train-logloss", "validation-logloss"),
    ],
    ids=["keras", "pytorch_lightning", "lightning", "xgboost"],
)
def test_a_run_that_is_autologged_is_found_to_overfit_and_stops(
    client: Client,  # noqa: F811
    program: str,
    train: str,
    val: str,
) -> None:
    out, err = client.start(HEAD + program).communicate(timeout=400)
    epochs, run_id = out.split()[-2:]
    assert 1 < int(epochs) < 3000, err
    (run,) = [run for run in client.runs() if run["id"] == run_id]
    assert run["verdict"] == "overfitting"
    line = run["reading"]["line"]
    assert f"training loss: {train};" in line
    assert f"validation loss: {val}" in line
    assert client.history(run_id, train)
    assert client.history(run_id, val)
