"""What a person sees of trainings that were not changed: a goal alone, a watched folder, a command and its output."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Service, spawn, stop, until
from .test_pages import drawn_to

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SCRIPT = """
import time
for epoch in range(1, 41):
    print(f"Epoch {epoch} train loss {2 / epoch:.4f} val loss {2.1 / epoch:.4f}", flush=True)
"""


@pytest.mark.slow
def test_a_run_that_logs_an_accuracy_alone_has_a_verdict_and_a_full_page(service: Service, page: Page) -> None:
    with service.run("scored", goal="val/accuracy:max") as run:
        for step in range(200):
            run.log({"val/accuracy": 0.9 - 0.8 * 0.97**step if step < 100 else 0.86 - step / 500}, step=step)
    page.goto(f"{service.dashboard}/run?id={run.id}")
    expect(page.get_by_test_id("run-name")).to_have_text("scored", timeout=60_000)
    until(page, drawn_to(199))
    expect(page.get_by_test_id("headline")).to_contain_text("val/accuracy")
    expect(page.get_by_test_id("no-loss")).to_have_count(0)


def test_a_watched_folder_of_tensorboard_grows_on_the_page(service: Service, page: Page, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    folder = tmp_path / "growing"
    watch = spawn(service.folder, "watch", str(folder), "--server", service.api)
    writer = tensorboard.SummaryWriter(str(folder), flush_secs=1)
    try:
        for step in range(50):
            writer.add_scalar("train/loss", 2 / (1 + step), step)
        writer.flush()
        page.goto(f"{service.dashboard}/runs")
        page.get_by_role("link", name="growing").first.click(timeout=60_000)
        until(page, drawn_to(49))
        writer.add_scalar("train/loss", 0.01, 1234)
        writer.flush()
        until(page, drawn_to(1234))
    finally:
        writer.close()
        stop(watch)


@pytest.mark.slow
def test_a_command_has_its_curves_and_its_output_on_the_page(service: Service, page: Page, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = spawn(
        service.folder, "run", "--name", "unchanged", "--server", service.api, "--", sys.executable, str(script)
    )
    printed, _ = command.communicate(timeout=60)
    assert command.returncode == 0 and printed.count("Epoch") == 40
    page.goto(f"{service.dashboard}/runs")
    page.get_by_role("link", name="unchanged").first.click(timeout=60_000)
    until(page, drawn_to(40))
    page.goto(f"{page.url}&tab=Output")
    expect(page.get_by_test_id("output")).to_contain_text("Epoch 40 train loss 0.0500", timeout=60_000)


@pytest.mark.slow
def test_the_last_lines_of_a_failed_command_stay_within_their_note(
    service: Service, page: Page, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text("import sys\nsys.stderr.write('a line that is long ' * 40 + '\\n')\nsys.exit(3)\n")
    command = spawn(
        service.folder, "run", "--name", "failing", "--server", service.api, "--", sys.executable, str(script)
    )
    command.communicate(timeout=60)
    assert command.returncode == 3
    page.set_viewport_size({"width": 390, "height": 900})
    with service.reader() as reader:
        ids = {run.name: run.id for run in reader.runs()}
    page.goto(f"{service.dashboard}/run?id={ids['failing']}")
    expect(page.get_by_test_id("error")).to_contain_text("a line that is long", timeout=60_000)
    note = page.get_by_test_id("error")
    assert note.evaluate("note => [note, note.querySelector('pre')].map(e => e.scrollWidth - e.clientWidth)") == [0, 0]
