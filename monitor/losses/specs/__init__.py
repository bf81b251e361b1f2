"""One specification for each loss: its chance level, floor, range and settings."""
