"""The HTTP client of this package: one client, what responses mean, and how addresses are shown."""
