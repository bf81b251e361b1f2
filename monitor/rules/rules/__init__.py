"""The built-in rules, one a file: each a short question about the description of a run."""
