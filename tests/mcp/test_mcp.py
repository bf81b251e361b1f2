"""The tools of an agent, by the package's own client, over standard input and output and over HTTP."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

import monitor
from monitor.mcp import Options, create_server
from monitor.settings import load
from tests import loops

READS = {
    "list_runs", "list_alerts", "explain", "attention", "compare", "curve", "curve_picture", "wait", "events",
    "ledger", "advise_loss",
}  # fmt: skip
TOKEN = "a-token-of-an-agent-that-is-long"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store with a run that overfits and one that does not."""
    home = tmp_path / "home"
    settings = load(dir=home, capture=(), shipper="thread")
    for name, lr in (("ill", 0.1), ("fine", 0.01)):
        with monitor.init("p", name=name, config={"max_steps": 5000, "lr": lr}, group="g", settings=settings) as run:
            for step in range(0, 1001, 20):
                rises = name == "ill" and step > 500
                run.log({"train/loss": 2.0 / (1 + step / 100)}, step=step)
                run.log({"val/loss": 1.5 + (step - 500) / 400 if rises else 2.0 - step / 1000}, step=step)
            if name == "ill":
                run.checkpoint(500, "ckpt-500.pt")
    with monitor.init("secret", name="hidden", settings=settings) as run:
        run.log({"train/loss": 1.0}, step=0)
    abandoned = (  # by a loop that has died, and so hears no stop before it is taken back
        "import monitor, os\nfrom monitor.settings import load\n"
        f"run = monitor.init('p', name='open', run_id='{'c' * 32}', settings=load(capture=(), shipper='thread'))\n"
        "run.log({'train/loss': 1.0}, step=0)\n"
        "os._exit(0 if run.flush() else 1)\n"
    )
    subprocess.run([sys.executable, "-c", abandoned], env=environment(home), check=True)
    return home


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MONITOR_")}
    return {**kept, "MONITOR_DIR": str(home), **more}


def data(result: Any) -> Any:
    """What a tool has answered, as JSON."""
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)


async def drive(client: Client) -> None:
    """The loop of an agent: find, wait, explain, look."""
    names = {tool.name for tool in (await client.list_tools()).tools}
    assert names == READS | names & {"diagnose_file"}  # nothing that changes something
    rows = data(await client.call_tool("list_runs", {"query": 'verdict = "overfitting"'}))["runs"]
    assert [(row["name"], row["action"], row["best_step"]) for row in rows] == [("ill", None, 500)]  # it has ended
    waited = data(await client.call_tool("wait", {"runs": ["ill"], "until": ["verdict=overfitting"], "timeout_s": 5}))
    assert (waited["timeout"], waited["outcomes"][0]["what"]) == (False, "verdict=overfitting")
    told = data(await client.call_tool("explain", {"run": "ill"}))
    assert told["against_best"]["changes"] == [{"key": "lr", "here": 0.1, "there": 0.01}]
    assert "ckpt-500.pt" in told["text"]
    compared = data(await client.call_tool("compare", {"runs": ["ill", "fine"]}))
    assert compared["differing"] == ["lr"] and [row["config"]["lr"] for row in compared["runs"]] == [0.1, 0.01]
    assert compared["best"] == compared["runs"][1]["id"]
    curve = data(await client.call_tool("curve", {"run": "ill", "key": "val/loss"}))
    assert (curve["steps"][0], min(curve["values"])) == (0, 1.5)
    series = data(await client.call_tool("curve", {"run": "ill"}))["series"]
    assert {each["key"] for each in series} == {"train/loss", "val/loss"}
    picture = (await client.call_tool("curve_picture", {"run": "ill"})).content[0]
    image = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    assert (picture.mime_type, image.format, image.size) == ("image/png", "PNG", (640, 320))
    assert len(image.getcolors(10**6) or ()) > 5
    listed = data(await client.call_tool("list_alerts", {"run": "ill", "state": "all"}))
    assert [(row["rule"], row["resolution"]) for row in listed["alerts"]] == [("overfitting", "the run finished")]
    assert data(await client.call_tool("list_alerts", {"run": "ill"}))["alerts"] == []
    assert data(await client.call_tool("attention", {}))["running"] >= 0
    assert data(await client.call_tool("events", {"run": "ill"}))["ended"]
    assert data(await client.call_tool("ledger", {}))["currency"] == "USD"
    advice = data(await client.call_tool("advise_loss", {"task": "classification", "classes": 10}))
    assert advice
    missing = await client.call_tool("explain", {"run": "nobody"})
    assert missing.is_error and "no run 'nobody'" in missing.content[0].text
    wrong = await client.call_tool("wait", {"runs": ["ill"], "until": ["stopp"]})
    assert wrong.is_error and "did you mean 'stop'" in wrong.content[0].text
    for arguments, said in (
        ({"runs": ["ill"], "untill": ["stop"]}, "wait: no argument 'untill'; did you mean 'until'?"),
        ({"runs": ["ill"], "what": ["stop"]}, "wait: no argument 'what'; it takes runs, until, timeout_s, every"),
        ({}, "wait: 'runs' is missing; it takes runs, until, timeout_s, every"),
        ({"runs": ["ill"], "timeout_s": "soon"}, "wait: timeout_s: input should be a valid number"),
    ):
        refused = await client.call_tool("wait", arguments)
        assert refused.is_error and refused.content[0].text.startswith(said)
        assert "\n" not in refused.content[0].text


def test_an_agent_works_over_standard_input_and_output(home: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "log.csv").write_text(
        "step,train_loss\n" + "".join(f"{i},{2 / (i + 1)}\n" for i in range(60)), encoding="utf-8"
    )
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "monitor", "mcp", "--files", str(tmp_path / "files")],
        env=environment(home, PYTHONPATH=str(Path(__file__).parents[2])),
    )  # fmt: skip

    async def run() -> None:
        async with Client(command) as client:
            await drive(client)
            found = data(await client.call_tool("diagnose_file", {"path": "log.csv"}))
            assert found["counts"]["train"] == 60
            outside = await client.call_tool("diagnose_file", {"path": "../home/monitor.db"})
            assert outside.is_error and "is outside of" in outside.content[0].text

    loops.run(run)


@contextmanager
def over_http(home: Path, *arguments: str, **more: str) -> Iterator[str]:
    """A server over HTTP in a process of its own; yields its address."""
    command = [sys.executable, "-m", "monitor", "mcp", "--http", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(home, **more))
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def test_an_agent_works_over_http_and_needs_the_token(home: Path) -> None:
    async def run(address: str) -> None:
        refused = httpx2.post(address, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, timeout=60)
        assert refused.status_code == 401
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http:  # noqa: SIM117  # in this order
            async with Client(streamable_http_client(address, http_client=http)) as client:
                await drive(client)
                assert "diagnose_file" not in {tool.name for tool in (await client.list_tools()).tools}

    with over_http(home, MONITOR_TOKEN=TOKEN) as address:
        loops.run(run, address)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux listens on all of 127.0.0.0/8")
def test_no_web_page_reaches_the_tools_at_any_address_of_this_machine(home: Path) -> None:
    host = "127.0.0.2"  # MCP's own library guards 127.0.0.1
    with over_http(home, "--host", host) as address:

        def ask(**headers: str) -> int:
            wanted = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-03-26"}
            client = {"name": "x", "version": "1"}
            params = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": client}
            body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
            return httpx2.post(address, json=body, headers=wanted | headers, timeout=60).status_code

        assert ask() == 200
        assert ask(Host="evil.example") == 403  # its name was pointed here
        assert [ask(Origin=origin) for origin in ("https://evil.example", "null", "http://127.0.0.1:1")] == [403] * 3
    with over_http(home, "--host", host, MONITOR_TOKEN=TOKEN) as address:
        assert ask() == 401
        assert ask(Authorization=f"Bearer {TOKEN}", Origin="https://evil.example") == 403


def test_an_address_that_others_reach_needs_a_token(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "mcp", "--http", "--host", "0.0.0.0", "--port", "0"],
        env=environment(home), capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "set MONITOR_TOKEN, or bind 127.0.0.1" in done.stderr


def test_an_agent_that_may_write_stops_a_loop_and_takes_it_back(home: Path) -> None:
    async def run() -> None:
        with monitor.Api(settings=load(dir=home)) as api:
            async with Client(create_server(api, Options(write=True, who="claude"))) as client:
                asked = data(await client.call_tool("request_stop", {"run": "open", "reason": "hopeless"}))
                assert (asked["who"], asked["state"]) == ("claude", "requested")
                assert api.run("open").info.stop_requested == "claude"
                back = data(await client.call_tool("withdraw_stop", {"run": "open"}))
                assert back["state"] == "withdrawn"
                over = await client.call_tool("request_stop", {"run": "fine", "reason": "x"})
                assert over.is_error and "there is nothing to stop" in over.content[0].text
                vague = await client.call_tool("request_stop", {"run": "ccc", "reason": "x"})
                assert vague.is_error

    loops.run(run)


def test_an_agent_that_may_write_answers_silences_and_annotates(home: Path) -> None:
    async def run() -> None:
        with monitor.Api(settings=load(dir=home)) as api:
            with monitor.init("secret", name="loud", settings=load(dir=home, capture=(), shipper="thread")) as loud:
                loud.log({"train/loss": 1.0}, step=0)
                loud.alert("disk full", "", "critical")
            with monitor.init("p", name="hot", settings=load(dir=home, capture=(), shipper="thread")) as hot:
                hot.log({"train/loss": 1.0}, step=0)
                hot.alert("hot", "", "critical")
            (ours,), (theirs,) = api.alerts(run="hot").items, api.alerts(run="loud").items
            async with Client(create_server(api, Options(write=True, who="claude", projects=("p",)))) as client:
                answer = {"alert": ours.id[:8], "note": "I cool it"}
                taken = data(await client.call_tool("acknowledge", answer))
                assert (taken["state"], taken["acked_by"]) == ("acknowledged", "claude")
                rows = data(await client.call_tool("list_alerts", {}))["alerts"]
                assert [(row["id"], row["run"], row["acked_note"]) for row in rows] == [(ours.id, hot.id, "I cool it")]
                useful = data(await client.call_tool("mark_alert", {"alert": ours.id, "mark": "helpful"}))
                assert useful["mark"] == "helpful"
                assert (await client.call_tool("mark_alert", {"alert": theirs.id, "mark": "helpful"})).is_error
                assert (await client.call_tool("list_alerts", {"run": "loud"})).is_error
                hidden = await client.call_tool("acknowledge", {"alert": theirs.id})
                assert hidden.is_error and "alert" in hidden.content[0].text

                api.run("hot").edit(note="A person's note.")
                await client.call_tool("annotate", {"run": "hot", "note": "Too hot.", "tags": {"kind": "hot"}})
                noted = data(await client.call_tool("annotate", {"run": "hot", "tags": {"kind": None, "x": "1"}}))
                assert noted["note"] == "A person's note.\n\nToo hot. (claude)"
                assert {"kind", "x"} & set(noted["tags"]) == {"x"}
                assert (await client.call_tool("annotate", {"run": "loud", "note": "x"})).is_error

                what = {"run": "hot", "reason": "known", "hours": 2.0}
                made = data(await client.call_tool("silence", what))
                assert (made["run"], made["by"]) == (hot.id, "claude")
                assert [each.reason for each in api.silences()] == ["known"]
                quiet = data(await client.call_tool("list_alerts", {"state": "silenced"}))
                assert [row["silenced_until_ms"] for row in quiet["alerts"]] == [made["until_ms"]]
                wrong = await client.call_tool("silence", {**what, "hours": -1.0})
                assert wrong.is_error and "in the future" in wrong.content[0].text
                ended = data(await client.call_tool("unsilence", {"run": "hot"}))["ended"]
                assert [each["id"] for each in ended] == [made["id"]] and api.silences() == ()

    loops.run(run)


def test_an_agent_of_some_projects_sees_no_others(home: Path) -> None:
    async def run() -> None:
        with monitor.Api(settings=load(dir=home)) as api:
            async with Client(create_server(api, Options(projects=("p",)))) as client:
                rows = data(await client.call_tool("list_runs", {"project": "secret"}))["runs"]
                assert rows == []
                assert len(data(await client.call_tool("list_runs", {}))["runs"]) == 3
                for tool in ("explain", "curve", "events"):
                    found = await client.call_tool(tool, {"run": "hidden"})
                    assert found.is_error and "no run" in found.content[0].text
                assert (await client.call_tool("wait", {"runs": ["hidden"]})).is_error
                assert (await client.call_tool("compare", {"runs": ["ill", "hidden"]})).is_error

    loops.run(run)
