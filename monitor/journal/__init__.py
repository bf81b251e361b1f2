"""Records on disk: `log()` returns once its record is here, and it survives the death of the process."""
