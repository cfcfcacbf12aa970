"""The dialog that exports videos, in a real browser."""

from __future__ import annotations

from pathlib import Path

import av
from playwright.sync_api import Page, expect

from tests import drawing
from tests.conftest import Server
from tests.routes.test_api_inspector import add
from tests.routes.test_api_regions import square


def test_a_person_exports_a_part_as_overlay_video_with_what_the_asset_can_give(
    page: Page, server: Server, clip: bytes, tmp_path: Path
) -> None:
    drawing.with_sound(tmp_path / "talk.mov", [k / 12 for k in range(6)], [0.2], seconds=0.5)
    project = server.project("Shown to others")
    mute = server.asset(project, "mute.mp4", clip)["id"]
    heard = server.asset(project, "talk.mov", (tmp_path / "talk.mov").read_bytes())["id"]
    add(server, f"{heard}-000003", 1, square(10, 10, 40, 40))
    page.goto(f"{server.url}/workspace/{project['id']}?asset={mute}&frame=1")
    page.locator("#canvas-host").focus()
    page.keyboard.press("]")
    page.get_by_role("button", name="Export").click()
    dialog = page.locator("#export-dialog")
    dialog.locator("input[value=mask-video]").check()
    expect(dialog.get_by_label("Keep the sound")).to_be_hidden()
    expect(dialog.get_by_label("One video for", exact=True)).to_contain_text("every class that has regions")
    dialog.locator("input[value=overlay-mp4]").check()
    expect(dialog.get_by_label("Opacity of the labels")).to_have_value("54")
    expect(dialog.get_by_label("Keep the sound")).to_be_disabled()
    expect(dialog).to_contain_text("This asset has no sound.")

    dialog.get_by_label("Asset", exact=True).select_option(heard)
    expect(dialog.get_by_label("Keep the sound")).to_be_enabled()
    dialog.get_by_label("Names", exact=True).select_option("class")
    dialog.get_by_label("First frame").fill("3")
    dialog.get_by_label("Last frame").fill("5")
    dialog.get_by_role("button", name="Export").last.click()
    with page.expect_download() as download:
        dialog.locator("#export-files a").click()
    with av.open(str(download.value.path())) as container:
        assert container.streams.video[0].frames == 3
        assert len(container.streams.audio) == 1

    page.reload()
    page.get_by_role("button", name="Export").click()
    expect(dialog.locator("input[value=overlay-mp4]")).to_be_checked()
    expect(dialog.get_by_label("Names", exact=True)).to_have_value("class")
    expect(dialog.get_by_label("First frame")).to_have_value("")
