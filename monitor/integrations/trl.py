"""TRL: the callback of Transformers, which logs, diagnoses and stops TRL's trainers on all ranks.

`SFTTrainer(callbacks=[MonitorCallback(project="mine")])`, or `register()` and `report_to="monitor"`. If a trainer logs
a reward, as GRPO and RLOO do, the run is marked as a game: the reward counts, not the loss.
"""

from __future__ import annotations

from monitor.integrations.huggingface import MonitorCallback, register

__all__ = ["MonitorCallback", "register"]
