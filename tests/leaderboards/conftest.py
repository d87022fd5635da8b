"""A browser for the pages of leaderboards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.leaderboards.page.html import render
from tests.browser import browser, browser_program

Opener = Callable[..., Any]


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type != "log" else None)
        page.on("dialog", lambda dialog: (self.faults.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if browser_program() is None:
        pytest.skip("no Chromium on this machine")
    with browser() as started:
        yield started


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Opener]:
    """Open the page of some data from the disk; afterwards nothing may have gone wrong or asked the network."""
    opened: list[tuple[Watched, str]] = []
    contexts = []

    def opens(data: dict[str, Any], script: str = "", fragment: str = "", **options: Any) -> Any:
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(render(data), encoding="utf-8")
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        if script:
            page.add_init_script(script)
        opened.append((Watched(page), path.as_uri()))
        page.goto(path.as_uri() + fragment)
        return page

    yield opens
    for context in contexts:
        context.close()
    for watched, address in opened:
        assert watched.faults == []
        assert {request.split("#")[0] for request in watched.requests} == {address}
