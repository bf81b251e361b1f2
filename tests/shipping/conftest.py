"""The fixtures of every test of the SDK."""

from tests.sdk import _alone, settings, sink, start  # noqa: F401
