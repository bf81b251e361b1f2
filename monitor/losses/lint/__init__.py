"""The linter for loss functions: checks that call the loss and report each problem with evidence and a fix."""
