"""`python -m monitor` runs the command `monitor`."""

from monitor.cli import main

main()
