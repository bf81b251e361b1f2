"""Five real training runs that show the product: healthy, overfitting, diverging, oscillating, collapsing."""

from monitor.demo.show import run_demo

__all__ = ["run_demo"]
