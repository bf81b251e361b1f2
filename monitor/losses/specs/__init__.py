"""One specification per loss: its chance level, floor, range and settings."""
