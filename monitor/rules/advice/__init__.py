"""Turns findings into one verdict, one sentence, a recommendation and a forecast."""
