"""What the engine remembers of a run, in constant memory, and how points enter it."""
