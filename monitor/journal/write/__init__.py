"""The writing side of a journal: records are appended to memory-mapped segments."""
