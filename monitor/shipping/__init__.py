"""From journals to a sink: the courier process, the shipper thread, the sinks, and `monitor sync`."""
