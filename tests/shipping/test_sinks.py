from __future__ import annotations

import json

from monitor.errors import Unauthorized
from monitor.http.answers import error_of


def test_a_refusal_says_the_servers_reason_and_not_always_the_token() -> None:
    problem = {"type": "urn:lossmonitor:problem:host", "detail": "a server without a token does not answer to x"}
    refused = error_of("http://x", 403, json.dumps(problem).encode())
    assert isinstance(refused, Unauthorized)
    assert str(refused) == "http://x refused: a server without a token does not answer to x"
    for body in (b"", json.dumps({"type": "urn:lossmonitor:problem:unauthorized", "detail": "no"}).encode()):
        assert "set MONITOR_TOKEN to " in str(error_of("http://x", 401, body))
