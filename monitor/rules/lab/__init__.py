"""Tries out rules: on stored runs, on labelled curves, and against a project's own unit tests."""
