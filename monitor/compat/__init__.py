"""What other trackers' scripts call, so that a script moves by one line.

`from monitor.compat import SummaryWriter` for TensorBoard's, `import monitor.compat.wandb as wandb` for W&B.
"""

from __future__ import annotations

from monitor.compat.tensorboard import SummaryWriter

__all__ = ["SummaryWriter"]
