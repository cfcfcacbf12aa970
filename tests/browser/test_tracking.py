"""Through the video, as a person does it: one click, a track, one correction, the overlay video."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests import drawing
from tests.browser.test_engines import RULES, open_frame, saved, state
from tests.browser.test_main_job import TREE_REGIONS, accept, click, drag, go_to
from tests.conftest import Server

FRAMES = 12


@pytest.fixture(scope="module")
def disc() -> bytes:
    target = io.BytesIO()
    drawing.video(target, frames=FRAMES, width=160, height=120)
    return target.getvalue()


def tracked(server: Server, project: dict[str, Any], number: int) -> dict[str, Any]:
    """The track job that was started as the `number`-th of its project, once it is done."""
    jobs = [job for job in server.api("GET", f"/jobs?project={project['id']}") if job["kind"] == "track"]
    assert len(jobs) == number
    job = server.finished(max(jobs, key=lambda job: job["created_at"]))
    assert job["state"] == "done", job["reason"]
    return job


def regions(server: Server, asset: str) -> list[dict[str, Any]]:
    """The only region of each frame."""
    pages = [server.api("GET", f"/frames/{asset}-{index:06d}")["regions"] for index in range(FRAMES)]
    assert [len(found) for found in pages] == [1] * FRAMES
    return [found[0] for found in pages]


def test_one_click_becomes_a_labelled_clip_and_an_overlay_video(
    page: Page, server: Server, disc: bytes
) -> None:
    project, asset = open_frame(page, server, disc, "Through the video")
    page.keyboard.press("4")
    drag(page, 48, 54, 15)
    accept(page, 1)

    page.keyboard.press("t")
    expect(page.locator("#track-go")).to_contain_text(f"over {FRAMES - 1} frames")
    assert Axe().run(page, context="#track-box", options=RULES).response["violations"] == []
    with page.expect_response(
        lambda answer: answer.url.endswith("/tracks") and answer.request.method == "POST"
    ):
        page.keyboard.press("Enter")
    expect(page.locator("#track-box")).to_be_hidden()
    tracked(server, project, 1)
    first = regions(server, asset)
    assert len({region["track_id"] for region in first}) == 1
    assert [region["anchor"] for region in first] == [True] + [False] * (FRAMES - 1)
    assert all(region["score"] is not None for region in first[1:])
    expect(page.get_by_text(f"{FRAMES - 1} frames tracked.")).to_be_visible()

    go_to(page, 7)
    page.locator(TREE_REGIONS).click()
    page.locator("#canvas-host").focus()
    click(page, 12, 110, button_held="Alt")
    accept(page, 1)
    offer = page.locator("#retrack")
    expect(offer).to_be_visible()
    assert Axe().run(page, context="#retrack", options=RULES).response["violations"] == []
    with page.expect_response(
        lambda answer: answer.url.endswith("/tracks") and answer.request.method == "POST"
    ):
        page.locator("#retrack-between").click()
    expect(offer).to_be_hidden()
    tracked(server, project, 2)
    second = regions(server, asset)
    assert [region["anchor"] for region in second] == [True] + [False] * 5 + [True] + [False] * 5
    assert {region["track_id"] for region in second} == {first[0]["track_id"]}
    # Only between the anchors it was tracked anew, both ways; the anchors and what lies behind them stay.
    assert [region["agreement"] is not None for region in second] == [False] + [True] * 5 + [False] * 6
    assert [a["id"] for a in first[7:]] == [a["id"] for a in second[7:]]
    saved(page)

    go_to(page, 1)
    page.keyboard.press("Space")
    expect(page.locator("#frame-number")).to_have_value(str(FRAMES))
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert state(page, "s.playing") is False
    assert state(page, "s.frameId") == f"{asset}-{FRAMES - 1:06d}"

    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("#export-dialog input[value='overlay-mp4']").check()
    page.locator("#export-dialog").get_by_role("button", name="Export", exact=False).last.click()
    link = page.locator("#export-files a").filter(has_text="overlay")
    with page.expect_download() as download:
        link.click()
    with av.open(str(Path(download.value.path()))) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == FRAMES
    # A clip of 12 frames a second: its times are kept.
    assert [round(float(frame.time or 0) * 12) for frame in frames] == list(range(FRAMES))
