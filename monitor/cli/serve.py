"""`monitor up`, `monitor dashboard` and `monitor demo`: the commands that keep running."""

from __future__ import annotations

import json as json_
import os
import signal
import sys
from pathlib import Path

import typer

from monitor import settings as settings_
from monitor.screen import err, escape, out

_DIR = typer.Option(
    None, "--dir", help="Folder of the embedded store and journals; default MONITOR_DIR, else ~/.monitor."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel="Run")(up)
    app.command(rich_help_panel="Run")(demo)
    app.command(rich_help_panel="Run")(dashboard)


def up(
    host: str = typer.Option(None, help="Address to bind; any address but loopback needs a token."),
    port: int = typer.Option(None, help="Port of the API; 0 picks a free one."),
    workers: int = typer.Option(None, help="Number of API processes; more than one needs PostgreSQL."),
    dashboard: bool = typer.Option(True, help="Also start the dashboard."),
    dashboard_port: int = typer.Option(None, help="Port of the dashboard; 0 picks a free one."),
    mlflow: bool = typer.Option(False, help="Also serve MLflow's API and pages at the same address."),
    directory: Path = _DIR,
    json: bool = typer.Option(False, "--json", help="Print the URLs as one line of JSON once everything is up."),
) -> None:
    """Start the server, the dashboard and (with --mlflow) MLflow's pages. Stop with Ctrl-C."""
    from monitor.server import up as serve

    ports = {"port": port, "dashboard_port": dashboard_port}
    loaded = settings_.load(host=host, workers=workers, dir=directory, **ports)

    def ready(urls: dict[str, str]) -> None:
        if json:
            sys.stdout.write(json_.dumps(urls) + "\n")
            sys.stdout.flush()
            return
        names = {"api": "API", "dashboard": "Dashboard", "mlflow": "MLflow"}
        for part, url in urls.items():
            out.print(f"{names.get(part, part):<10} [bold]{escape(url)}[/]")
        out.print(f"[dim]Log to it with MONITOR_SERVER_URL={escape(urls['api'])}; stop with Ctrl-C[/]")

    serve(loaded, dashboard=dashboard, mlflow=mlflow, ready=ready)


def dashboard(
    host: str = typer.Option(None, help="Address to bind."),
    port: int = typer.Option(None, help="Port of the dashboard."),
    server: str = typer.Option(None, help="Server to read from; default MONITOR_SERVER_URL."),
    json: bool = typer.Option(False, "--json", help="Print the URL as one line of JSON once it is up."),
) -> None:
    """Start only the dashboard, for a server that runs elsewhere."""
    from monitor.errors import MonitorError
    from monitor.reader.api import Api
    from monitor.server import run_dashboard

    loaded = settings_.load(host=host, dashboard_port=port, server_url=server)
    try:
        with Api(settings=loaded) as api:
            api.health()
    except MonitorError as error:
        err.print(f"[yellow]{escape(str(error))}[/]\nThe dashboard starts and shows runs as soon as they can be read.")

    def ready(urls: dict[str, str]) -> None:
        if json:
            sys.stdout.write(json_.dumps(urls) + "\n")
            sys.stdout.flush()
        else:
            out.print(f"Dashboard  [bold]{escape(urls['dashboard'])}[/]")

    run_dashboard(loaded, ready)


def demo(
    exit_: bool = typer.Option(False, "--exit", help="Exit when the runs end, instead of keeping the dashboard up."),
    mlflow: bool = typer.Option(False, help="Also serve MLflow's API and pages at the same address."),
    port: int = typer.Option(None, help="Port of the API; default 8470, or any free one if it is taken."),
    dashboard_port: int = typer.Option(
        None, help="Port of the dashboard; default 8471, or any free one if it is taken."
    ),
    directory: Path = _DIR,
    json: bool = typer.Option(False, "--json", help="Print the outcomes as JSON on standard output."),
) -> None:
    """Train five small networks on real data: healthy, overfitting, collapsing, diverging, oscillating."""
    import sklearn  # noqa: F401  # fail before starting a server if the extra is not installed
    import torch  # noqa: F401  # as above

    from monitor.demo.service import Service
    from monitor.demo.show import run_demo, verdict_panel

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stop the server too, as Ctrl-C does
    screen = err if json else out
    loaded = settings_.load(port=port, dashboard_port=dashboard_port, dir=directory)
    os.environ["MONITOR_DIR"] = str(loaded.dir)
    with screen.status("Starting the server and the dashboard"):
        service = Service(loaded, mlflow=mlflow, tell=lambda line: screen.print(f"[yellow]{escape(line)}[/]"))
        service.start()
    with service:
        screen.print(f"Dashboard  [bold]{escape(service.urls['dashboard'])}[/]  (watch the runs as they train)")
        result = run_demo(screen, service)
        if json:
            data = {"urls": dict(result.urls), "runs": [outcome.to_dict() for outcome in result.outcomes]}
            sys.stdout.write(json_.dumps(data, indent=2, allow_nan=False) + "\n")
            sys.stdout.flush()
        else:
            for outcome in result.outcomes:
                out.print(verdict_panel(outcome))
        for part, url in result.urls.items():
            screen.print(f"{part:<10} [bold]{url}[/]")
        if not exit_:
            screen.print("[dim]The dashboard stays up; stop with Ctrl-C[/]")
            try:
                service.wait()
            except KeyboardInterrupt:
                screen.print("stopped")
