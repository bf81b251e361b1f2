"""Of several servers over one PostgreSQL, one does each job, and another takes it over when that one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from monitor.errors import StoreError
from monitor.jobs import Jobs
from monitor.settings import Settings
from monitor.store import Store

HOLDER = """
import sys, time
from monitor.store import Store
store = Store.open(sys.argv[1])
print(store.leads("liveness"), flush=True)
time.sleep(600)
"""


@pytest.mark.postgres
def test_a_job_passes_on_when_the_process_that_leads_is_killed(postgres_url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, postgres_url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        with Store.open(postgres_url) as store:
            assert not store.leads("liveness")
            assert store.leads("retention")
            os.kill(process.pid, signal.SIGKILL)
            begun = time.monotonic()
            while not store.leads("liveness"):
                assert time.monotonic() - begun < 60
                time.sleep(0.05)  # the database has no event for it
            assert store.leads("liveness")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.postgres
def test_a_server_whose_connection_is_cut_no_longer_leads_until_it_asks_again(postgres_url: str) -> None:
    with Store.open(postgres_url) as first, Store.open(postgres_url) as second:
        assert first.leads("liveness")
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        deadline = time.monotonic() + 60
        while not second.leads("liveness"):
            assert time.monotonic() < deadline
            time.sleep(0.02)  # as above
        with pytest.raises(StoreError):
            first.leads("liveness")
        assert not first.leads("liveness")


@pytest.mark.postgres
def test_two_servers_do_each_job_once_and_the_survivor_goes_on(
    postgres_url: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr("monitor.jobs.scheduler.liveness.check", lambda store, *_, **__: done.append(store))
    settings = Settings(database_url=postgres_url)
    with Store.open(postgres_url) as first, Store.open(postgres_url) as second:
        one, two = Jobs(first, settings), Jobs(second, settings)
        for jobs in (one, two, one, two):
            jobs.run("liveness")
        assert done == [first, first]
        first.close()
        deadline = time.monotonic() + 60
        while second not in done:
            two.run("liveness")
            assert time.monotonic() < deadline
        assert not two.health()["liveness"].failing


def test_on_sqlite_the_only_server_leads(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        assert store.leads("liveness")
