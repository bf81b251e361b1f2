"""Which loss to take: train small models under several losses, or reason from measured profiles."""
