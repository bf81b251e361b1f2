"""Writing a journal: records are appended to memory-mapped segments."""
