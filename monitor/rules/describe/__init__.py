"""Describes each curve once, from its sketch, for all rules and all sentences."""
