"""The former location of the SDK; only `monitor.client.integrations` is still importable."""
