"""Five real training runs that demonstrate the product: healthy, overfitting, diverging, oscillating, collapsing."""

from monitor.demo.show import run_demo

__all__ = ["run_demo"]
