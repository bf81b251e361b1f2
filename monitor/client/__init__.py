"""The SDK: the journal on disk, the thread that ships it, the sinks it goes to, `Run`, and the reader `Api`.

Nothing here is imported before its first use, and no server library, MLflow or torch ever is at module level.
"""
