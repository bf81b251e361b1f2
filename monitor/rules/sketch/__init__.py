"""What the engine remembers about a run, in constant memory, and how points enter it."""
