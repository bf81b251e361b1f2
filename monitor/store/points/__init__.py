"""Points of series as packed chunks: writing, reading, curves, smoothing, downsampling."""
