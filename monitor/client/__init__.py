"""Where the SDK was before; only `monitor.client.integrations` is still importable."""
