"""Reading a journal: ranges of records as columns, and what damage cost."""
