"""HAProxy in front of servers on this machine, configured by `deploy/haproxy.cfg`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from monitor._resources import ROOT
from monitor.server.ports import free_port


def balancer(folder: Path, ports: list[int]) -> tuple[subprocess.Popen[bytes], str]:
    """Start HAProxy in front of the servers on these ports; the process, and its address."""
    port = free_port("127.0.0.1", 0, "port")
    text = (ROOT / "deploy/haproxy.cfg").read_text(encoding="utf-8")
    text = text.replace("bind :8480", f"bind 127.0.0.1:{port}").replace(" init-addr none resolvers docker", "")
    servers = "\n".join(f"    server s{each} 127.0.0.1:{each}" for each in ports)
    text = re.sub(r"( *server-template.*\n)+", servers + "\n", text)
    text = text.partition("resolvers docker")[0].replace("server:8470", f"127.0.0.1:{ports[0]}")
    config = folder / "haproxy.cfg"
    config.write_text(text, encoding="utf-8")
    process = subprocess.Popen(["haproxy", "-db", "-f", str(config)])
    return process, f"http://127.0.0.1:{port}"
