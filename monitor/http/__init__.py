"""How this product speaks HTTP as a client: one client, what answers mean, and how addresses are shown."""
