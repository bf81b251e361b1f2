"""TRL's trainers: which losses they have, and that all ranks of one stop together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.server.ports import free_port

pytest.importorskip("trl")

from monitor.integrations.trl import MonitorCallback  # after the library that may be missing
from monitor.run.start import Run
from monitor.shipping.sinks import MemorySink

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

MADE = """
import os
os.environ["HF_HUB_OFFLINE"] = "1"
import tokenizers, transformers
from datasets import Dataset

WORDS = ["<pad>", "<eos>", "<unk>", "a", "b", "c", "d", "good", "bad"]

def tokenizer():
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left")

def model():
    config = transformers.GPT2Config(vocab_size=9, n_positions=64, n_embd=8, n_layer=1, n_head=2,
                                     bos_token_id=1, eos_token_id=1, pad_token_id=0)
    return transformers.GPT2LMHeadModel(config)

def options(folder, **more):
    return {"output_dir": str(folder), "per_device_train_batch_size": 4, "logging_steps": 2, "report_to": "none",
            "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "bf16": False,
            "gradient_checkpointing": False, **more}
"""
TOLD: dict[str, Any] = {}
exec(MADE, TOLD)  # the same for the processes of a distributed training


def loss(sink: MemorySink, run: Run) -> dict[str, object]:
    found = [event.data["loss"] for event in sink.events(run.id, "loss")]
    return found[0] if found else {}  # type: ignore[return-value]


def test_fine_tuning_has_the_loss_of_its_model(runs: list[Run], sink: MemorySink, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = Dataset.from_dict({"text": ["a b c d", "b c d a"] * 16})
    arguments = SFTConfig(**TOLD["options"](tmp_path, max_steps=6, eval_strategy="steps", eval_steps=3, max_length=16))
    trainer = SFTTrainer(
        TOLD["model"](), args=arguments, train_dataset=rows, eval_dataset=rows, processing_class=TOLD["tokenizer"](),
        callbacks=[MonitorCallback(name="sft")],
    )  # fmt: skip
    trainer.train()
    (run,) = runs
    assert loss(sink, run)["kind"] == "language_model"
    logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert [value for _, value in sink.points(run.id, "train/loss")] == logged
    assert len(sink.points(run.id, "val/loss")) == 2
    assert [event.data["status"] for event in sink.events(run.id, "finish")] == ["finished"]


def test_a_preference_is_no_language_models_loss(runs: list[Run], sink: MemorySink, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = Dataset.from_dict({"prompt": ["a b"] * 16, "chosen": ["good"] * 16, "rejected": ["bad"] * 16})
    trainer = DPOTrainer(
        TOLD["model"](), ref_model=TOLD["model"](), args=DPOConfig(**TOLD["options"](tmp_path, max_steps=4)),
        train_dataset=rows, processing_class=TOLD["tokenizer"](), callbacks=[MonitorCallback()],
    )  # fmt: skip
    trainer.train()
    assert loss(sink, runs[0]) == {}
    assert len(sink.points(runs[0].id, "train/loss")) == 2
    assert sink.points(runs[0].id, "rewards/accuracies")


def test_what_learns_from_rewards_is_a_game(runs: list[Run], sink: MemorySink, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def reward(completions: list[str], **_: object) -> list[float]:
        return [float(text.count("good")) for text in completions]

    arguments = GRPOConfig(**TOLD["options"](tmp_path, max_steps=4, num_generations=4, max_completion_length=4))
    trainer = GRPOTrainer(
        TOLD["model"](), reward_funcs=reward, args=arguments, processing_class=TOLD["tokenizer"](),
        train_dataset=Dataset.from_dict({"prompt": ["a b", "c d"] * 8}), callbacks=[MonitorCallback()],
    )  # fmt: skip
    trainer.train()
    assert loss(sink, runs[0])["comparable"] is False
    assert loss(sink, runs[0])["name"] == "GRPO"
    assert len(sink.points(runs[0].id, "reward")) == 2


RANKS = (
    MADE
    + """
import sys, torch, monitor
from pathlib import Path
from trl import SFTConfig, SFTTrainer
from monitor.domain import Action, Recommendation
from monitor.integrations.trl import MonitorCallback
from monitor.settings import load
from monitor.shipping.sinks import MemorySink

sink = MemorySink()
sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="enough")
folder = Path(sys.argv[1])
run = monitor.init("p", sink=sink, settings=load(dir=folder / "store", capture=False, ship_interval_s=0.005))
rows = Dataset.from_dict({"text": ["a b c d", "b c d a"] * 160})
arguments = SFTConfig(**options(folder / "out", max_steps=400, eval_strategy="steps", eval_steps=7, max_length=16))
trainer = SFTTrainer(model(), args=arguments, train_dataset=rows, eval_dataset=rows.select(range(16)),
                     processing_class=tokenizer(), callbacks=[MonitorCallback(run)])
trainer.train()
trainer.evaluate()
(folder / f"rank{arguments.process_index}").write_text(str(trainer.state.global_step))
torch.distributed.destroy_process_group()
run.finish()
"""
)


def test_all_ranks_stop_together(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(RANKS)
    port = free_port("127.0.0.1", 0, "port")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [*command, str(script), str(tmp_path)], timeout=240, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    steps = {(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)}
    assert len(steps) == 1
    assert int(steps.pop()) < 400
