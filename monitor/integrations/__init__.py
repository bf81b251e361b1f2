"""Callbacks and loggers for training frameworks, one file each; importing one imports only its framework.

Each takes a `Run`, or the arguments of `monitor.init` to start one. It logs what the framework reports, records its
checkpoints, and ends training in the framework's own way when `should_stop()` is True.
"""
