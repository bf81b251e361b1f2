"""The curve described once, from its sketch: what every rule and every sentence reads."""
