from __future__ import annotations

import asyncio
import json
import math
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from monitor.api.bodies import CompressRemote, json_response
from monitor.wire import POINTS_MEDIA_TYPE


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
)
def test_every_answer_is_strict_json(data: object) -> None:
    def refuse(word: str) -> object:
        raise AssertionError(f"{word} is not JSON")

    json.loads(bytes(json_response([data]).body), parse_constant=refuse)


def test_what_is_not_finite_is_spelled_out() -> None:
    body = json.loads(bytes(json_response({"a": math.nan, "b": [math.inf, -math.inf], "c": 1.5}).body))

    assert body == {"a": "NaN", "b": ["Infinity", "-Infinity"], "c": 1.5}


def _encoding_for(client: str, accept: bytes = b"*/*") -> str | None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "client": (client, 5),
        "headers": [(b"accept-encoding", b"gzip"), (b"accept", accept)],
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    answer = CompressRemote(Response(b"x" * 100_000, media_type="application/json"))(scope, receive, send)
    with ThreadPoolExecutor(1) as pool:  # the browser tests leave a loop running in the main thread
        pool.submit(asyncio.run, answer).result()
    headers = dict(sent[0]["headers"])
    found = headers.get(b"content-encoding")
    return found.decode() if found else None


@pytest.mark.parametrize(
    ("client", "accept", "encoding"),
    [
        ("10.0.0.7", b"*/*", "gzip"),
        ("127.0.0.1", b"*/*", None),
        ("::1", b"*/*", None),
        ("10.0.0.7", POINTS_MEDIA_TYPE.encode(), None),
    ],
)
def test_only_what_crosses_a_network_and_shrinks_is_compressed(
    client: str, accept: bytes, encoding: str | None
) -> None:
    assert _encoding_for(client, accept) == encoding
