"""Drop-in replacements for other trackers' APIs, so that a script moves by changing one line.

`from monitor.compat import SummaryWriter` for TensorBoard, `import monitor.compat.wandb as wandb` for W&B.
"""

from __future__ import annotations

from monitor.compat.tensorboard import SummaryWriter

__all__ = ["SummaryWriter"]
