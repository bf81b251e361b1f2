"""The primary fails over behind HAProxy, and behind PgBouncer before HAProxy: real processes, under load."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from monitor.server.ports import free_port
from tests.faults.postgres_pair import Postgres, _user, url_of
from tests.faults.test_failover import pair, under_load
from tests.server.conftest import Start, start_up, until

FOLDERS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
HAPROXY, PGBOUNCER = (shutil.which(name, path=FOLDERS) for name in ("haproxy", "pgbouncer"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.faults,
    pytest.mark.skipif(not HAPROXY or not PGBOUNCER, reason="apt-get install haproxy pgbouncer"),
]
__all__ = ["pair", "start_up"]


@pytest.fixture
def proxies(pair: tuple[Postgres, Postgres], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The URLs of HAProxy and of PgBouncer, set up as docs/scaling.md says."""
    assert HAPROXY and PGBOUNCER
    ports = {name: free_port("127.0.0.1", 0, "port") for name in ("haproxy", "pgbouncer")}
    folder = tmp_path / "proxies"
    folder.mkdir()
    servers = "\n".join(
        f"  server db{n} 127.0.0.1:{each.port} check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions"
        + " backup" * n
        for n, each in enumerate(pair)
    )
    (folder / "haproxy.cfg").write_text(
        "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen postgres\n  bind 127.0.0.1:{ports['haproxy']}\n  option pgsql-check user postgres\n{servers}\n"
    )
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={ports['haproxy']} user=postgres\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {ports['pgbouncer']}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 10\nmax_client_conn = 200\nserver_login_retry = 1\n"
    )
    for path in (folder, *folder.parents[:3]):  # those that pytest has made: PgBouncer gives up root
        path.chmod(0o755)
    become = ["-u", str(_user())] if _user() else []
    commands = ([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], [PGBOUNCER, *become, f"{folder}/pgbouncer.ini"])
    with (folder / "log").open("wb") as log:
        started = [subprocess.Popen(each, stdout=log, stderr=log, cwd="/") for each in commands]
    try:
        urls = {name: f"postgresql://postgres@127.0.0.1:{port}/postgres" for name, port in ports.items()}
        for url in urls.values():
            until(lambda url=url: _answers(url), 20)
        yield urls
    finally:
        for process in started:
            process.kill()
            process.wait(10)


@pytest.mark.parametrize("proxy", ["haproxy", "pgbouncer"])
def test_a_standby_takes_over_behind_a_proxy(
    start_up: Start, pair: tuple[Postgres, Postgres], proxies: dict[str, str], tmp_path: Path, proxy: str
) -> None:
    primary, standby = pair

    def fail_over() -> None:
        primary.kill()
        time.sleep(4)  # the proxy has gone over to the standby, which takes no writes yet
        standby.promote()

    stall_s = under_load(start_up, proxies[proxy], tmp_path, fail_over, lambda: url_of(standby))
    print(f"stalled for {stall_s:.1f} s behind {proxy}")
    assert stall_s < 30


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, prepare_threshold=None, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
