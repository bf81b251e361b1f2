"""Records on disk. Once `log()` has returned, its record survives the death of the process."""
