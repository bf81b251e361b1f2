"""Two processes of one training stop together, whoever of them is told to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.server.ports import free_port

pytest.importorskip("torch")

pytestmark = pytest.mark.slow

BEGIN = """
import sys, torch, monitor
from pathlib import Path
from monitor.domain import Action, Recommendation
from monitor.settings import load
from monitor.shipping.sinks import MemorySink

torch.distributed.init_process_group("gloo")
torch.manual_seed(0)
rank = torch.distributed.get_rank()
sink = MemorySink()
sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="enough")
folder = Path(sys.argv[1])
run = monitor.init("p", sink=sink, settings=load(dir=folder / "store", capture=False, ship_interval_s=0.005))
model = torch.nn.Linear(4, 1)
x = torch.randn(64, 4)
y = x.sum(1, keepdim=True)
"""
LOOP = """
from monitor.integrations.pytorch import TorchLoop
wrapped = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
loop = TorchLoop(run, wrapped, optimizer, all_ranks=True)
for _ in range(2000):
    loss = (wrapped(x) - y).square().mean()
    loss.backward()
    if loop.step(loss) or (rank == 0 and loop.validate(loss)):
        break
    optimizer.step()
steps = loop.steps
"""
IGNITE = """
import ignite.distributed as idist
from ignite.engine import create_supervised_trainer
from monitor.integrations.ignite import MonitorLogger
wrapped = torch.nn.parallel.DistributedDataParallel(model)
trainer = create_supervised_trainer(wrapped, torch.optim.SGD(wrapped.parameters(), lr=0.1), torch.nn.MSELoss())
MonitorLogger(run).attach(trainer)
trainer.run([(x, y)] * 100, max_epochs=20)
steps = trainer.state.iteration
"""
FASTAI = """
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from monitor.integrations.fastai import MonitorCallback
batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=16)
wrapped = torch.nn.parallel.DistributedDataParallel(model)
learn = Learner(DataLoaders(batches, batches), wrapped, loss_func=torch.nn.MSELoss(), lr=0.1)
held = MonitorCallback(run)
with learn.no_logging():
    learn.fit(500, cbs=held)
steps = held._batches
"""
END = """
(folder / f"rank{rank}").write_text(str(steps))
torch.distributed.destroy_process_group()
run.finish()
"""


@pytest.mark.parametrize(
    ("needs", "script"), [("torch", LOOP), ("ignite", IGNITE), ("fastai", FASTAI)], ids=["pytorch", "ignite", "fastai"]
)
def test_all_ranks_stop_together(needs: str, script: str, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    path = tmp_path / "train.py"
    path.write_text(BEGIN + script + END)
    port = free_port("127.0.0.1", 0, "port")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [*command, str(path), str(tmp_path)], timeout=240, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    steps = {int((tmp_path / f"rank{rank}").read_text()) for rank in (0, 1)}
    assert len(steps) == 1
    assert steps.pop() < 2000
