"""TRL: the callback of Transformers, with which TRL's trainers are logged, judged and stopped on all ranks.

`SFTTrainer(callbacks=[MonitorCallback(project="mine")])`, or `register()` and `report_to="monitor"`. Where a trainer
logs a reward, as GRPO and RLOO do, the run says that its loss is a game: the reward is what counts.
"""

from __future__ import annotations

from monitor.integrations.huggingface import MonitorCallback, register

__all__ = ["MonitorCallback", "register"]
