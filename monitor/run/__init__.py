"""What a training process uses: `init`, `Run`, the captured environment, and the journal's background threads."""
