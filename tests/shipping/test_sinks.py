from __future__ import annotations

import json

import pytest

from monitor.errors import BatchTooLarge, ServerFailed, ServerUnreachable, Unauthorized, WireError
from monitor.http.answers import error_of


def test_a_refusal_says_the_servers_reason_and_not_always_the_token() -> None:
    problem = {"type": "urn:lossmonitor:problem:host", "detail": "a server without a token does not answer to x"}
    refused = error_of("http://x", 403, json.dumps(problem).encode())
    assert isinstance(refused, Unauthorized)
    assert str(refused) == "http://x refused: a server without a token does not answer to x"
    for body in (b"", json.dumps({"type": "urn:lossmonitor:problem:unauthorized", "detail": "no"}).encode()):
        assert "set MONITOR_TOKEN to " in str(error_of("http://x", 401, body))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, WireError), (404, WireError), (409, WireError), (415, WireError), (422, WireError),
        (408, ServerUnreachable), (425, ServerUnreachable), (429, ServerUnreachable),
        (500, ServerFailed), (502, ServerUnreachable), (503, ServerUnreachable), (504, ServerUnreachable),
        (413, BatchTooLarge),
    ],
)  # fmt: skip
def test_a_refusal_that_may_pass_is_retried_and_any_other_of_a_server_is_final(status: int, kind: type) -> None:
    """Whatever a server says of its reason; a later one may have reasons that this client does not know."""
    problem = {"type": "urn:lossmonitor:problem:new-reason", "detail": "no"}
    assert type(error_of("http://x", status, json.dumps(problem).encode())) is kind
    by_a_proxy = error_of("http://x", status, b"")
    assert isinstance(by_a_proxy, BatchTooLarge if status == 413 else ServerUnreachable)
