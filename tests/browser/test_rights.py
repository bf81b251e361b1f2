"""Each page as a viewer, as somebody of another project, and after the session has ended, sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

import monitor
from monitor.domain import Access, Caller
from monitor.server.app import open_store
from monitor.settings import Settings

from .conftest import addresses, log_diverging, spawn, stop

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ROOT = Caller(name="test", access=Access.ADMIN)
WRITES = {
    "ack", "silence", "unsilence", "retry", "test", "helpful", "false", "stop", "rename", "delete", "restore", "tag",
    "untag", "note", "save", "forget", "undo",
}  # fmt: skip
"""What the buttons of the pages ask for, other than sorting, picking and leafing."""


@dataclass(frozen=True, slots=True)
class House:
    """A dashboard that asks for a token, with a run of the project "secret" that diverged."""

    url: str
    run: str
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("rights")
    tokens = {}
    with open_store(Settings(dir=folder)) as store:
        for name, access, project in (("logger", Access.LOGGER, None), ("viewer", Access.VIEWER, None),
                                      ("stranger", Access.ADMIN, "other")):  # fmt: skip
            tokens[name] = store.create_token(name, access, project=project, expires_ms=None, now_ms=1, by=ROOT)[1]
    process = spawn(folder, "up", "--json", "--port", "0", "--dashboard-port", "0")
    try:
        urls = addresses(process)
        settings = Settings(dir=folder, server_url=urls["api"], token=tokens["logger"], capture=())
        run = monitor.init(project="secret", name="ill", tags={"team": "vision"}, settings=settings)
        log_diverging(run)
        yield House(urls["dashboard"], run.id, tokens)
    finally:
        stop(process)


def signed_in(page: Page, house: House, who: str, path: str) -> None:
    page.goto(f"{house.url}/{path}")
    page.get_by_label("Token").fill(house.tokens[who])
    page.get_by_role("button", name="Sign in").click()


def offered(page: Page) -> list[str]:
    """The changes that the page has buttons for, shown or folded."""
    acts = page.evaluate("[...document.querySelectorAll('[data-act]')].map(found => found.dataset.act.split(' ')[0])")
    return [act for act in acts if act in WRITES]


TOLD = (
    ("run?id=ill", "stop, rename or delete it"),
    ("alerts", "answer alerts or test channels"),
    ("rules?rule=spike&spike.enabled=false&project=secret", "save it for project secret"),
    ("run?id=ill&tab=Notes", "change the note or the tags"),
    ("alerts?tab=channels", "answer alerts or test channels"),
    ("rules?rule=spike&spike.enabled=false", "save it for all projects"),
    ("settings", "need the role admin"),
)
"""Pages, and what each tells a viewer."""
PATHS = ("", "run?id=ill", "compare?query=name~ill", "runs", "alerts", "rules", "settings")


@pytest.mark.parametrize(
    "pages", [pytest.param(TOLD[:3], id="main"), pytest.param(TOLD[3:], id="others", marks=pytest.mark.slow)]
)
def test_a_viewer_is_told_what_a_change_takes_and_has_no_button_for_it(
    house: House, page: Page, pages: tuple[tuple[str, str], ...]
) -> None:
    signed_in(page, house, "viewer", "")
    expect(page.get_by_test_id("fleet")).to_be_visible()
    for path, what in pages:
        page.goto(f"{house.url}/{path}")
        expect(page.get_by_text(what).first).to_be_visible()
        assert offered(page) == [], path
        expect(page.get_by_role("button", name="Save for", exact=False)).to_have_count(0)


def test_a_viewer_picks_runs_and_compares_and_exports_them(house: House, page: Page) -> None:
    signed_in(page, house, "viewer", "runs")
    page.get_by_role("checkbox", name="pick ill to compare").check()
    bar = page.get_by_test_id("compare-bar")
    expect(bar).to_contain_text("To tag, stop or delete runs, you need a token with the role editor")
    expect(bar.get_by_role("link", name="Compare")).to_be_visible()
    assert offered(page) == []
    page.get_by_role("button", name="Views").click()
    expect(page.get_by_test_id("no-view-right")).to_be_visible()


@pytest.mark.parametrize(
    "paths", [pytest.param(PATHS[:3], id="main"), pytest.param(PATHS[3:], id="others", marks=pytest.mark.slow)]
)
def test_somebody_of_another_project_sees_nothing_of_this_one(house: House, page: Page, paths: tuple[str, ...]) -> None:
    signed_in(page, house, "stranger", "")
    expect(page.get_by_label("Token")).to_have_count(0)
    for path in paths:
        page.goto(f"{house.url}/{path}")
        expect(page.locator("[data-testid=stMain] .lm").first).to_be_visible()
        page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
        body = page.locator("body").inner_text()
        assert "secret" not in body and house.run[:8] not in body, path
        assert "Traceback" not in body, path


@pytest.mark.slow
def test_who_has_no_session_signs_in_and_is_back_where_they_were(house: House, page: Page) -> None:
    signed_in(page, house, "viewer", "run?id=ill&tab=Config")
    expect(page.locator("h1", has_text="ill")).to_be_visible()
    page.context.clear_cookies()
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()
    page.get_by_label("Token").fill(house.tokens["viewer"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1", has_text="ill")).to_be_visible()
    assert "tab=Config" in page.url
