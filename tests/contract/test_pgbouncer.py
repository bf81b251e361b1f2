"""The contract's tests through a real PgBouncer that pools transactions: two server connections for all clients."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from monitor.server.ports import free_port
from monitor.store import Store
from monitor.store.sql import migrate
from tests.conftest import Feed, PostgresServer
from tests.contract.test_concurrency import *  # noqa: F403  # collected again here, with this file's `store_url`
from tests.contract.test_model import *  # noqa: F403  # likewise
from tests.contract.test_reader import *  # noqa: F403  # likewise
from tests.contract.test_writes import *  # noqa: F403  # likewise

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer on this machine; Debian's package has the name"),
]


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PgBouncer before the server; the URL of its `monitor` database."""
    assert PGBOUNCER is not None
    place = Path(parse_qs(urlsplit(postgres.schema_url).query)["host"][0])
    folder = tmp_path_factory.mktemp("pgbouncer")
    port = free_port("127.0.0.1", 0, "port")
    (folder / "pgbouncer.ini").write_text(
        f"""
        [databases]
        * = host={place} port=5432 user=postgres
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = 2
        max_client_conn = 200
        log_connections = 0
        log_disconnections = 0
        log_stats = 0
        """.replace("        ", "")
    )
    for path in (folder, *folder.parents[:2]):  # those that pytest has made
        path.chmod(0o755)  # it gives up root, which would not be let in
    become = ["-u", place.owner()] if os.getuid() == 0 else []
    process = subprocess.Popen(
        [PGBOUNCER, *become, str(folder / "pgbouncer.ini")], stderr=subprocess.PIPE, text=True, cwd="/"
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "process up" in line:
                break
        url = f"postgresql://postgres:@127.0.0.1:{port}/monitor"
        with psycopg.connect(url, prepare_threshold=None) as connection:
            assert connection.info.backend_pid  # it answers
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def store_url(pooler: str, postgres_url: str) -> str:
    """The test's database, reached through the pooler; it is emptied directly."""
    assert postgres_url.partition("?")[0].endswith("/monitor")
    return pooler


def test_clients_share_server_connections_and_prepare_nothing(pooler: str, postgres_url: str) -> None:
    with Store.open(pooler) as store:
        feeds = [Feed(store) for _ in range(4)]
        for feed in feeds:
            feed.start()
        for step in range(20):  # often enough that a direct connection would have prepared its statements
            for feed in feeds:
                feed.log("loss", [step], [1.0])
        with psycopg.connect(pooler, prepare_threshold=None, autocommit=True) as other:
            assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        with psycopg.connect(postgres_url) as direct:
            (count,) = direct.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'monitor' AND pid <> pg_backend_pid()"
            ).fetchone() or (0,)
        assert 1 <= count <= 2
        assert all(len(store.history(feed.run_id, "loss")) == 20 for feed in feeds)


def test_the_schema_is_made_through_it(pooler: str, postgres: PostgresServer) -> None:
    direct = postgres.create()
    name = direct.partition("?")[0].rsplit("/", 1)[1]
    url = pooler.rpartition("/")[0] + f"/{name}"
    migrate.upgrade(url)
    assert migrate.current(direct) == migrate.head()
    migrate.downgrade(url, "base")
    assert migrate.current(url) is None
