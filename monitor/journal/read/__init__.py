"""The reading side of a journal: whole ranges of records as columns, and what damage cost."""
