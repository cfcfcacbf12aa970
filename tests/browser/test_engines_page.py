"""The Engines page in a real browser. The files here are no weights, only shaped like them from outside."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.conftest import MakeServer, Server


@pytest.fixture(scope="module")
def own(make_server: MakeServer) -> Iterator[Server]:
    server = make_server(fake_engine=True)
    yield server
    (server.data / "run" / "fake-load").unlink(missing_ok=True)


def check_axe(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert found == [], [(v["id"], [n["target"] for n in v["nodes"]]) for v in found]


def test_a_person_gets_an_engine_running(page: Page, own: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{own.url}/engines")
    sam3, fake = page.locator("#engine-sam3"), page.locator("#engine-fake")
    expect(sam3).to_contain_text("The weights of sam3 are not on this machine.")
    check_axe(page)
    sam3.get_by_role("button", name="Copy the command for sam3").click()
    expect(page.locator("#toasts")).to_contain_text("Copied.")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.endswith(f"engines fetch sam3 --data {own.data}")

    sam3.get_by_role("button", name="Choose the weights of sam3").click()
    dialog = page.locator("#weights-dialog")
    path = dialog.get_by_label("Path of the file or folder")
    expect(path).to_be_focused()
    expect(path).to_have_value(f"{own.data}/weights/sam3.pt")
    check_axe(page)
    mine: Path = own.data / "mine.pt"
    with zipfile.ZipFile(mine, "w") as made:
        made.writestr("data", "numbers")
    path.fill(str(mine))
    path.press("Enter")
    expect(sam3.get_by_text("Ready", exact=True)).to_be_visible()
    expect(sam3).to_contain_text(str(mine))
    sam3.get_by_role("button", name="Forget the path that was chosen for sam3").click()
    expect(sam3.get_by_text("Missing weights")).to_be_visible()

    (own.data / "run" / "fake-load").write_text("refuse")
    fake.get_by_role("button", name="Load fake").click()
    expect(fake.get_by_text("Refused", exact=True)).to_be_visible()
    expect(fake).to_contain_text("These are no weights of this engine.")
    (own.data / "run" / "fake-load").unlink()
    fake.get_by_role("button", name="Load fake").click()
    expect(fake.get_by_text("Loaded", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Engine worker")).to_contain_text("fake cpu")
    check_axe(page)
    fake.get_by_role("button", name="Unload fake").focus()
    page.keyboard.press("Enter")
    expect(fake.get_by_role("button", name="Load fake")).to_be_visible()


def test_the_page_fits_a_narrow_window(page: Page, own: Server) -> None:
    page.set_viewport_size({"width": 1024, "height": 768})
    page.goto(f"{own.url}/engines")
    expect(page.locator("#engine-sam3")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1024
