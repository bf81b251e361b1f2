"""MLflow's own pages, served by `monitor up --mlflow`: they draw their charts from our chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import addresses, spawn, stop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of a server of both, with a run that an MLflow client has logged."""
    process = spawn(
        tmp_path_factory.mktemp("mlflow"), "up", "--json", "--port", "0", "--dashboard-port", "0", "--mlflow"
    )
    try:
        yield addresses(process)
    finally:
        stop(process)


@pytest.fixture(scope="module")
def mlflow(service: dict[str, str]) -> str:
    """The address of MLflow's pages."""
    return service["mlflow"]


def log_a_run(url: str) -> str:
    """Log a run that overfits, as MLflow's client does; its id."""

    def post(path: str, **data: object) -> dict[str, object]:
        found: dict[str, object] = httpx.post(f"{url}/api/2.0/mlflow/{path}", json=data, timeout=60).json()
        return found

    created = post("runs/create", experiment_id="0", run_name="overfits")
    run_id = str(created["run"]["info"]["run_id"])  # type: ignore[index]  # an object of objects
    for step in range(160):
        losses = {"train_loss": 2 * math.exp(-step / 30), "val_loss": 0.7 + ((step - 40) / 60) ** 2}
        rows = [{"key": key, "value": value, "timestamp": 1000 + step, "step": step} for key, value in losses.items()]
        post("runs/log-batch", run_id=run_id, metrics=rows)
    return run_id


def test_mlflows_chart_is_drawn_from_our_chunks_and_the_verdict_is_on_the_runs_page(mlflow: str, page: Page) -> None:
    run_id = log_a_run(mlflow)
    with page.expect_response(lambda r: "get-history-bulk-interval" in r.url, timeout=120_000) as answer:
        page.goto(f"{mlflow}/#/experiments/0/runs/{run_id}/model-metrics")
    assert len(answer.value.json()["metrics"]) == 160
    chart = page.locator(".js-plotly-plot .scatterlayer .js-line").first
    expect(chart).to_be_visible(timeout=120_000)
    assert str(chart.get_attribute("d")).count("L") + str(chart.get_attribute("d")).count("C") > 20
    page.goto(f"{mlflow}/#/experiments/0/runs/{run_id}")
    expect(page.get_by_text("monitor.verdict").first).to_be_visible(timeout=120_000)
    expect(page.get_by_text("overfitting").first).to_be_visible()


def test_the_verdict_is_a_column_of_mlflows_table_of_runs(mlflow: str, page: Page) -> None:
    log_a_run(mlflow)
    page.set_viewport_size({"width": 3000, "height": 900})  # the table draws what is in sight, and is narrow
    page.goto(f"{mlflow}/#/experiments/0/runs")
    page.get_by_role("button", name="Columns", exact=True).click(timeout=120_000)
    page.get_by_placeholder("Search columns").fill("monitor.verdict")
    page.get_by_test_id("column-selector-tree").locator("[class*=tree-checkbox]").last.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="monitor.verdict").last).to_be_visible()
    cell = page.get_by_role("gridcell", name="overfitting", exact=True).first
    expect(cell).to_be_visible()
    page.reload()  # MLflow remembers the columns of an experiment
    expect(cell).to_be_visible(timeout=120_000)


def test_the_dashboards_page_of_a_run_leads_to_mlflows(service: dict[str, str], mlflow: str, page: Page) -> None:
    run_id = log_a_run(mlflow)
    page.goto(f"{service['dashboard']}/run?id={run_id}")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open in MLflow").click()
    expect(opened.value.get_by_text("monitor.verdict").first).to_be_visible(timeout=120_000)
