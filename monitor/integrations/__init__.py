"""One file for each framework; importing one imports that framework and no other.

Each takes a `Run`, or what `monitor.init` takes and starts one; logs what the framework reports; notes its checkpoints;
and ends the training in the framework's own way when `should_stop()` says so.
"""
