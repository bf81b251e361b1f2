"""The built-in rules, one per file: each asks a short question about the features of a run."""
