"""Cutting out, as a person does it: a click, a track, the preview beside the original, the files."""

from __future__ import annotations

import io
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from tests import drawing
from tests.browser.test_engines import RULES, open_frame, saved, state
from tests.browser.test_main_job import accept, canvas_point, drag, go_to, shown
from tests.conftest import Server
from tests.routes.test_api_regions import labels_of

FRAMES, WIDTH, HEIGHT = 5, 160, 120
DISC, FLOOR = (48, 54), (80, 12)
TROLLS = range(5, 11)
FINE = "matte-fine"


@pytest.fixture(scope="module")
def disc() -> bytes:
    target = io.BytesIO()
    drawing.video(target, frames=FRAMES, width=WIDTH, height=HEIGHT)
    return target.getvalue()


@pytest.fixture(scope="module")
def composite(shared_data: Path) -> tuple[bytes, list[NDArray[np.float32]]]:
    """Two trolls with wild hair over a pond, as a video of half the size, and their exact alphas."""
    folder = shared_data / "matting" / "composite_trolls_on_blackswan"
    target = io.BytesIO()
    alphas = []
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for at, index in enumerate(TROLLS):
            image = cv2.imread(str(folder / "images" / f"{index:05d}.jpg"))
            alpha = cv2.imread(str(folder / "alpha" / f"{index:05d}.png"), cv2.IMREAD_GRAYSCALE)
            assert image is not None
            assert alpha is not None
            alphas.append(
                cv2.resize(alpha.astype(np.float32) / 255, (320, 180), interpolation=cv2.INTER_AREA)
            )
            small = cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(small.astype(np.uint8), "bgr24")
            picture.pts, picture.time_base = at, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return target.getvalue(), alphas


def colour_at(page: Page, x: float, y: float) -> tuple[int, int, int]:
    """What the canvas shows at a position of the frame."""
    left, top = canvas_point(page, x, y)
    box = page.locator("#canvas-host").bounding_box()
    assert box is not None
    red, green, blue, _ = page.evaluate(
        """([x, y]) => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.querySelector('.pt-layer-picture');
            const ratio = canvas.width / canvas.clientWidth;
            resolve([...canvas.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data]);
        })))""",
        [left - box["x"], top - box["y"]],
    )
    return red, green, blue


def accessible(page: Page, part: str) -> None:
    found = Axe().run(page, context=part, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def panel_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Matte")


def downloaded(page: Page, panel: Locator, ending: str) -> bytes:
    with page.expect_download() as download:
        panel.get_by_role("link", name=re.compile(f"{ending}$")).click()
    return Path(download.value.path()).read_bytes()


def alphas_in(video: bytes) -> list[NDArray[np.float32]]:
    with av.open(io.BytesIO(video), "r") as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return [(frame / 255).astype(np.float32) for frame in frames]


def mean_error(found: list[NDArray[Any]], exact: list[NDArray[Any]]) -> float:
    assert len(found) == len(exact)
    return float(np.mean([np.abs(one - other).mean() for one, other in zip(found, exact, strict=True)]))


def test_a_disc_is_cut_out_with_the_keyboard_and_seen_beside_the_original(
    page: Page, server: Server, disc: bytes
) -> None:
    _, asset = open_frame(page, server, disc, "Cut out")
    panel = panel_of(page)

    # Without a region it says what to do; words are refused by an engine that understands none.
    page.keyboard.press("Shift+A")
    expect(panel.get_by_role("radio", name="Selected")).to_be_focused()
    expect(panel).to_contain_text("Select a region on the canvas, or choose objects.")
    expect(page.locator("#matte-start")).to_be_disabled()
    panel.get_by_role("textbox", name="Find by words").fill("disc")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("classic does not understand text; choose sam3 in the engine menu.")
    expect(panel.get_by_role("link", name="About the engines")).to_have_attribute("href", "/engines")
    accessible(page, "#matte")

    # What is drawn while it is open is the target, and the frames without a mask are named.
    page.locator("#canvas-host").focus()
    page.keyboard.press("4")
    drag(page, *DISC, 15)
    accept(page, 1)
    expect(page.locator("#matte-subject")).to_contain_text("region on frame 1")
    expect(page.locator("#matte-missing")).to_contain_text(f"No mask on {FRAMES - 1} frames: 2–{FRAMES}")
    expect(page.locator("#matte-takes")).to_contain_text("About")
    expect(panel).to_contain_text("1 anchor, frame 1")
    panel.get_by_text("Not ready").click()
    expect(panel).to_contain_text("NTU S-Lab License 1.0 (non-commercial)")
    panel.get_by_role("radio", name="matte-fast").check()
    expect(page.locator("#matte-licence")).to_contain_text("Licence: Same as Pointillist")
    panel.get_by_text("Parameters", exact=True).click()
    width = panel.get_by_role("spinbutton", name="Band width")
    width.fill("500")
    page.keyboard.press("Tab")
    expect(panel).to_contain_text("Band width must lie between 1 and 200")
    expect(page.locator("#matte-start")).to_be_disabled()
    width.fill("6")
    page.keyboard.press("Tab")
    expect(panel).to_contain_text("Parameters, 1 changed")

    # The border between both moves by keys; S shows the original as long as it is held.
    page.locator("#matte-preview").click()
    border = page.get_by_role("separator", name="Border between original and matte")
    expect(border).to_be_visible()
    expect(page.locator("#matte-flag")).to_have_text("Preview, not saved")
    accessible(page, "main")
    panel.get_by_role("radio", name="Alpha").check()
    border.focus()
    page.keyboard.press("Home")
    expect(border).to_have_attribute("aria-valuenow", "0")
    assert min(colour_at(page, *DISC)) > 240
    assert max(colour_at(page, *FLOOR)) < 15
    page.keyboard.press("End")
    red, green, _ = colour_at(page, *DISC)
    assert red > 150 > green
    page.keyboard.press("Home")
    page.keyboard.down("s")
    assert min(colour_at(page, *DISC)) < 150
    page.keyboard.up("s")
    panel.get_by_role("radio", name="Colour").check()
    assert colour_at(page, *FLOOR) == (0, 255, 0)
    page.locator("#matte-leave").click()
    expect(border).to_be_hidden()
    assert state(page, "s.tool") == "point-plus"

    # One press tracks what is missing and goes on to the matte.
    panel.get_by_role("checkbox", name="Foreground video").uncheck()
    panel.get_by_role("checkbox", name="PNG sequence").check()
    page.locator("#matte-track-first").focus()
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("The matte is ready.")
    expect(panel.get_by_role("link", name=re.compile(r"_alpha\.mp4$"))).to_be_focused()
    expect(panel).to_contain_text("Made with matte-fast. Licence: Same as Pointillist")
    accessible(page, "#matte")
    expect(panel.get_by_role("link", name=re.compile(r"_rgba\.zip$"))).to_be_visible()
    exact = [(drawing.scene(index, WIDTH, HEIGHT)[1] == 1).astype(np.float32) for index in range(FRAMES)]
    assert mean_error(alphas_in(downloaded(page, panel, r"_alpha\.mp4")), exact) < 0.02
    sidecar = json.loads(downloaded(page, panel, r"\.json"))
    assert "Same as Pointillist" in json.dumps(sidecar)
    saved(page)

    # The next one knows its track: nothing is missing. Closed, the focus is where the panel was opened.
    panel.get_by_role("button", name="Another matte").click()
    expect(page.locator("#matte-subject")).to_contain_text("track")
    expect(page.locator("#matte-start")).to_contain_text(f"Matte {FRAMES} frames")
    expect(page.locator("#matte-missing")).to_be_hidden()
    page.locator("#matte-start").focus()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#canvas-host")).to_be_focused()
    assert labels_of(server, f"{asset}-{FRAMES - 1:06d}").any()


def test_the_matte_of_wild_hair_comes_closer_to_the_truth_than_its_mask(
    page: Page, server: Server, composite: tuple[bytes, list[NDArray[np.float32]]]
) -> None:
    clip, exact = composite
    _, asset = open_frame(page, server, clip, "Trolls")
    go_to(page, 3)
    page.keyboard.press("4")
    for x, y, reach in ((149, 65, 15), (149, 160, 12), (212, 110, 15), (205, 160, 10)):
        drag(page, x, y, reach)
        expect(page.locator("#tools .busy")).to_have_count(0)
    accept(page, 1)
    opener = page.get_by_role("button", name="Cut out a matte")
    opener.click()
    panel = panel_of(page)
    expect(panel.get_by_role("radio", name=re.compile(f"^{FINE}.*Recommended"))).to_be_checked()

    page.locator("#matte-preview").click()
    border = page.get_by_role("separator", name="Border between original and matte")
    expect(border).to_be_visible()
    border.focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(border).to_have_attribute("aria-valuetext", re.compile(r"\d+ % original"))

    page.locator("#matte-track-first").click()
    expect(panel).to_contain_text("The matte is ready.")
    found = alphas_in(downloaded(page, panel, r"_alpha\.mp4"))
    assert len(downloaded(page, panel, r"_foreground\.mp4")) > 1000
    masks = [labels_of(server, f"{asset}-{index:06d}") > 0 for index in range(len(exact))]
    assert mean_error(found, exact) < 0.9 * mean_error(masks, exact)
    panel.get_by_role("button", name="Close", exact=True).click()
    expect(opener).to_be_focused()
    shown(page, 3)
