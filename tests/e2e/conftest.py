"""A browser to look at pages with, and to make the pictures of the docs."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; Playwright's own is not downloaded.

    Of a module, not of the session: while Playwright runs, no other test can have an event loop.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    # Its sandbox cannot be had by root, which containers run as.
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as running,
    ):
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab of the browser."""
    with browser.new_page(viewport={"width": 1500, "height": 900}) as page:
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page


@pytest.fixture
def keep_picture(tab: Page, tmp_path: Path) -> Callable[[str], None]:
    """Keeps what the tab shows. With `SCREENSHOTS=docs/images` the docs' pictures are made."""

    def _keep(name: str) -> None:
        folder = Path(os.environ.get("SCREENSHOTS", tmp_path)).absolute()
        tab.screenshot(path=folder / f"{name}.png", animations="disabled")
        assert (folder / f"{name}.png").stat().st_size > 20_000

    return _keep
