"""The client and a real server with a proxy between them that refuses, falsifies or asks for a password."""

from __future__ import annotations

import base64
import itertools
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.errors import BatchTooLarge, ServerFailed, ServerUnreachable, Unauthorized, WireError
from monitor.http.answers import error_of
from monitor.journal.claim import note_of
from monitor.reader.api import Api
from monitor.run.start import init
from monitor.settings import Settings
from monitor.shipping.sinks import HttpSink
from monitor.shipping.sync import own_destination, sync, unsent
from monitor.wire import Batch
from tests.run.test_embedded import Served
from tests.shipping.proxies import CUT, HTML_413, Answer, Proxy
from tests.variants import some

HTML, JSON = "text/html", "application/json"


@pytest.fixture
def served(sqlite_url: str, settings: Settings) -> Iterator[Served]:
    made = Served(sqlite_url, settings)
    yield made
    made.close()


@pytest.fixture
def between(served: Served) -> Iterator[Callable[..., Proxy]]:
    made: list[Proxy] = []

    def make(**options: object) -> Proxy:
        made.append(Proxy(served.address, **options))  # type: ignore[arg-type]  # a test's own arguments
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


class TestAProxyThatTakesNoLongBodies:
    @pytest.mark.parametrize("shipper", ["thread", "process"])
    def test_gets_short_ones(
        self, settings: Settings, served: Served, between: Callable[..., Proxy], shipper: str
    ) -> None:
        proxy = between(most=20_000)
        place = settings.model_copy(update={"server_url": proxy.address, "shipper": shipper})
        with init("p", settings=place) as run:
            for step in range(10_000):
                run.log({"train/loss": float(step)}, step=step)
            run.update_config({"note": "x" * 30_000})
            run.log({"train/loss": -1.0}, step=10_000)
        with Api(served.address) as api:
            view = api.run(run.id)
            assert view.history("train/loss").steps.tolist() == list(range(10_001))
            assert view.info.status == "finished"
            assert view.info.warnings == {"refused": 1}
            (warning,) = (e for e in view.events() if e.kind == "warning")
            assert "config" in str(warning.data["key"])
            assert "413" in str(warning.data["example"])
        assert proxy.refused < len(proxy.sizes) / 3
        assert list(settings.journal_dir.iterdir()) == []

    def test_is_no_hindrance_to_sync_which_names_what_it_left_out(
        self, settings: Settings, served: Served, between: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = between(most=20_000)
        with init("p", name="r", mode="offline", settings=settings) as run:
            run.update_config({"note": "x" * 30_000})
            for step in range(5000):
                run.log({"train/loss": float(step)}, step=step)
        done = CliRunner().invoke(app, ["sync", str(settings.dir), "--server", proxy.address], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        out = " ".join(done.stdout.split())
        assert "1 record refused and left out, the last one as config: body: is larger than" in out
        with Api(served.address) as api:
            assert api.run(run.id).series()[0].count == 5000
            assert api.run(run.id).info.status == "finished"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (413, HTML_413),
        (413, b""),
        (413, json.dumps({"type": "urn:lossmonitor:problem:too-large", "detail": "64 MiB at most"}).encode()),
        (400, b"<h1>Bad Request</h1> Request Entity Too Large"),
        (404, b"denied: the request filtering module denies a request that exceeds the request content length"),
        (403, b"Request body too large"),
        (500, b"http: request body too large"),
    ],
)
def test_whoever_says_that_the_body_is_too_large_is_understood(status: int, body: bytes) -> None:
    assert isinstance(error_of("http://x", status, body), BatchTooLarge)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b"rate limit exceeded", ServerUnreachable),
        (503, b"request queue too large", ServerUnreachable),
        (502, b"upstream sent too big header", ServerUnreachable),
        (400, b"Request Header Or Cookie Too Large", ServerUnreachable),
        (414, b"Request-URI Too Long", ServerUnreachable),
        (500, b"Internal Server Error", ServerFailed),
        (401, b"", ServerUnreachable),
        (403, b"<html>Forbidden</html>", ServerUnreachable),
        (200, b"", ServerUnreachable),
        (401, b'{"type": "urn:lossmonitor:problem:unauthorized"}', Unauthorized),
        (422, b'{"type": "urn:lossmonitor:problem:wire-error", "field": "keys"}', WireError),
        (409, b'{"type": "urn:lossmonitor:problem:offset-gap"}', ServerUnreachable),
        (409, b"[" * 100_000, ServerUnreachable),
        *((status, b'{"type": "urn:lossmonitor:problem:not-now"}', ServerUnreachable) for status in (408, 425, 429)),
        (418, b'{"type": "urn:lossmonitor:problem:not-ever"}', WireError),
    ],
)
def test_other_answers_are_not_taken_for_that(status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(error_of("http://x", status, body)) is kind


NONSENSE: list[Answer] = [
    (200, JSON, b'{"acked": 3, "recomm'),
    (200, JSON, b"\xff\xfe{}"),
    (200, JSON, b'{"acked": 1, "recommendation": {}' + CUT),
    (200, JSON, b"{}"),
    (200, JSON, b"[]"),
    (200, JSON, b"null"),
    (200, JSON, b"[" * 100_000),
    (200, JSON, b'{"acked": 99999999999, "recommendation": {}}'),
    (200, JSON, b'{"acked": 0, "recommendation": {}}'),
    (200, JSON, b'{"acked": "many", "recommendation": {"action": 7}}'),
    (200, HTML, b"<form>log in</form>"),
    (302, HTML, b""),
    (401, HTML, b"who are you?"),
    (403, HTML, b"forbidden"),
    (404, HTML, b"not found"),
    (409, JSON, b'{"type": "urn:lossmonitor:problem:offset-gap", "expected": "x"}'),
    (500, HTML, b"oops"),
    (502, HTML, b"bad gateway"),
]


@pytest.mark.parametrize("nonsense", some(zip(NONSENSE), every=4), ids=lambda answer: f"{answer[0]}-{answer[2][:20]!r}")
def test_a_passing_fault_of_a_proxy_neither_ends_init_nor_loses_anything(
    settings: Settings, served: Served, between: Callable[..., Proxy], nonsense: Answer
) -> None:
    falsify = False
    proxy = between(meddle=lambda *_: nonsense if falsify else None)
    place = settings.model_copy(update={"server_url": proxy.address, "finish_timeout_s": 60.0, "shipper": "thread"})
    with init("p", settings=place, run_id="a" * 32) as run:
        run.log({"loss": 1.0}, step=4)
    falsify = True
    with init("p", settings=place, run_id="a" * 32, resume="allow") as run:
        for step in range(5, 200):
            run.log({"loss": 1.0}, step=step)
        falsify = False
    with Api(served.address) as api:
        info = api.run(run.id)
        assert info.history("loss").steps.tolist() == list(range(4, 200))
        assert info.info.warnings == {}
    falsify = True
    with Api(proxy.address) as api, pytest.raises((ServerUnreachable, BatchTooLarge)):
        api.run(run.id).series()


class TestAnAddressWithAPassword:
    def test_is_used_and_never_shown(
        self,
        settings: Settings,
        served: Served,
        between: Callable[..., Proxy],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        away = False
        proxy = between(meddle=lambda *_: (503, HTML, b"") if away else None)
        address = proxy.address.replace("http://", "http://ada:s3cr%40t@")
        place = settings.model_copy(update={"server_url": address, "finish_timeout_s": 0.5, "shipper": "thread"})
        with init("p", name="r", settings=place) as run:
            run.log({"loss": 1.0})
            assert run.flush(60)
            assert proxy.authorizations[-1] == f"Basic {base64.b64encode(b'ada:s3cr@t').decode()}"
            away = True
            with caplog.at_level(logging.DEBUG, "monitor"):
                run.log({"loss": 2.0})
                assert not run.should_stop(wait_s=60)  # returns once a try has failed
        (item,) = unsent(settings.journal_dir)
        monkeypatch.setenv("MONITOR_SERVER_URL", address)
        texts = [
            caplog.text,
            repr(Api(address)),
            str(note_of(item.folder)),
            *(path.read_text() for path in item.folder.glob("*.json")),
            *(
                CliRunner().invoke(app, [*command, str(settings.dir)]).output
                for command in (["doctor"], ["doctor", "--json"], ["sync"], ["sync", "--json"])
            ),
        ]
        assert proxy.address in caplog.text
        assert all(proxy.address in text.replace("\n", "") for text in texts[-4:-1])
        assert not any("s3cr" in text or "ada" in text for text in texts)
        away = False
        assert sync(settings.journal_dir, own_destination(place)).left == ()
        assert proxy.authorizations[-1] is not None
        with Api(served.address) as api:
            assert api.run(run.id).series()[0].count == 2

    def test_is_not_shown_where_it_cannot_be_used(self) -> None:
        for address in ("http://ada:s3cret@127.0.0.1:9", "http://ada:s3cret@[::1"):
            with pytest.raises(ServerUnreachable) as failed:
                HttpSink(address).send(Batch(run_id="a" * 32, writer="w", first=0, count=0))
            assert "s3cret" not in str(failed.value)


PROBLEM = {"type": "urn:lossmonitor:problem:wire-error", "field": "events[0].data.title", "detail": "must be text"}
INTERNAL = {"type": "urn:lossmonitor:problem:internal", "detail": "OverflowError while answering"}


POISON = ((422, JSON, json.dumps(PROBLEM).encode()), (500, JSON, json.dumps(INTERNAL).encode()), (500, HTML, b""))


@pytest.mark.parametrize(("by", "poison"), some(itertools.product(("shipper", "sync"), POISON), every=4))
def test_a_record_that_a_server_cannot_take_is_left_out_and_told(
    settings: Settings,
    served: Served,
    between: Callable[..., Proxy],
    poison: Answer,
    by: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy = between(meddle=lambda _, body: poison if b"poison" in body else None)
    place = settings.model_copy(update={"server_url": proxy.address, "shipper": "thread"})
    with init("p", mode="offline" if by == "sync" else "auto", settings=place) as run:
        for step in range(3000):
            run.log({"train/loss": float(step)}, step=step)
            if step == 1700:
                run.update_tags({"a": "poison"})
    if by == "sync":
        (item,) = sync(settings.journal_dir, own_destination(place)).sent
        assert item.aside == 1
    else:
        assert sum("refused and left out (tags" in text for text in caplog.messages) == 1
    with Api(served.address) as api:
        view = api.run(run.id)
        assert view.series()[0].count == 3000
        assert view.info.status == "finished"
        assert view.info.warnings == {"refused": 1}
    assert unsent(settings.journal_dir) == ()


class TestAServerThatAsksToBeLeftAlone:
    @pytest.mark.parametrize(("shipper", "status"), some(itertools.product(("thread", "process"), (429, 503)), every=3))
    def test_is_left_alone_for_as_long_as_it_says_and_gets_everything_then(
        self, settings: Settings, served: Served, between: Callable[..., Proxy], shipper: str, status: int
    ) -> None:
        busy = [json.dumps({"type": "urn:lossmonitor:problem:rate-limited", "detail": "wait"}).encode()] * 2

        def refuse(path: str, _: bytes) -> Answer | None:
            return (status, "application/problem+json", busy.pop()) if path.endswith("/batches") and busy else None

        proxy = between(meddle=refuse, retry_after="1")
        place = settings.model_copy(update={"server_url": proxy.address, "shipper": shipper})
        with init("p", settings=place) as run:
            for step in range(200):
                run.log({"train/loss": float(step)}, step=step)
                run.flush(0.01)  # somebody in a hurry

        asked = [at for at, size in zip(proxy.times, proxy.sizes, strict=True) if size]
        assert len(asked) >= 3
        assert min(second - first for first, second in itertools.pairwise(asked[:3])) >= 0.95
        assert served.store.history(run.id, "train/loss").steps.tolist() == list(range(200))
