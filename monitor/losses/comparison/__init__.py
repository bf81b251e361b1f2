"""Which loss to use: train small models under several losses, or reason from measured profiles."""
