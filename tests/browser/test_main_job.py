"""The main job, as a person does it: drop a video, click on things, walk away with label maps."""

from __future__ import annotations

import io
import json
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from app.models import new_id
from tests import drawing
from tests.conftest import MakeServer, Server

CHAIR_KEY, FLOOR_KEY = "4", "2"
CHAIR_ID, FLOOR_ID = 4, 2
TREE_REGIONS = "[role=treeitem][data-region]"


@pytest.fixture(scope="module")
def own(make_server: MakeServer) -> Server:
    return make_server()


@pytest.fixture(scope="module")
def chair_video(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sequence pumavos_chair as an mp4 of 60 frames."""
    images = sorted((shared_data / "sequences" / "pumavos_chair" / "images").glob("*.jpg"))
    target = tmp_path_factory.mktemp("video") / "chair.mp4"
    with av.open(target, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = 720, 480, "yuv420p"
        for i, path in enumerate(images):
            picture = av.VideoFrame.from_ndarray(np.asarray(Image.open(path).convert("RGB")), "rgb24")
            picture.pts, picture.time_base = i, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return target


def canvas_point(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where the frame's position (x, y) is on the screen."""
    view = page.evaluate("() => globalThis.pointillist.store.get().view")
    box = page.locator("#canvas-host").bounding_box()
    assert box is not None
    return box["x"] + view["x"] + x * view["scale"], box["y"] + view["y"] + y * view["scale"]


def click(page: Page, x: float, y: float, *, button_held: str | None = None) -> None:
    at = canvas_point(page, x, y)
    if button_held:
        page.keyboard.down(button_held)
    page.mouse.move(*at)
    page.mouse.click(*at)
    if button_held:
        page.keyboard.up(button_held)


def drag(page: Page, x: float, y: float, reach: float) -> None:
    """Press at (x, y) and pull: the point gets that reach."""
    page.mouse.move(*canvas_point(page, x, y))
    page.mouse.down()
    page.mouse.move(*canvas_point(page, x + reach / 2, y))
    page.mouse.move(*canvas_point(page, x + reach, y))
    page.mouse.up()


def accept(page: Page, regions: int) -> None:
    """Enter on the waiting proposal; afterwards the frame has that many regions and all is saved."""
    expect(page.locator("#proposal")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(TREE_REGIONS)).to_have_count(regions)
    expect(page.locator("#proposal")).to_be_hidden()
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved", timeout=20_000)


def go_to(page: Page, number: int) -> None:
    page.locator("#frame-number").fill(str(number))
    page.keyboard.press("Enter")
    shown(page, number)


def shown(page: Page, number: int) -> None:
    """Wait until frame `number` (from 1) is painted, and the panel beside it tells of it."""
    expect(page.locator("#canvas-host")).to_have_attribute("data-frame", re.compile(f"-{number - 1:06d}$"))
    expect(page.locator("#frame-panel h2")).to_have_text(f"Frame {number}")
    page.locator("#canvas-host").focus()


def import_video(page: Page, server: Server, video: Path) -> dict:
    page.goto(f"{server.url}/library")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").first.click()
    chooser.value.set_files(str(video))
    page.get_by_role("button", name="Import 60 frames").click()
    page.get_by_role("link", name=video.stem, exact=True).first.click()
    expect(page.locator("#canvas-host")).to_be_visible()
    cards = server.api("GET", "/projects")
    return next(card for card in cards if card["project"]["name"] == video.stem)


def test_a_person_drops_a_video_and_walks_away_with_label_maps(
    page: Page, own: Server, chair_video: Path
) -> None:
    card = import_video(page, own, chair_video)
    project, asset = card["project"], card["assets"][0]
    shown(page, 1)
    chosen = {1: (85, 110), 21: (110, 110), 41: (150, 110)}
    for number, (x, y) in chosen.items():
        if number > 1:
            go_to(page, number)
        page.keyboard.press(CHAIR_KEY)
        drag(page, x, y, 18)
        accept(page, 1)
        page.keyboard.press(f"Shift+{FLOOR_KEY}")
        drag(page, 330, 380, 60)
        accept(page, 2)
    frame_id = f"{asset['id']}-000040"
    before = {r["id"]: r for r in own.api("GET", f"/frames/{frame_id}")["regions"]}
    assert {r["class_id"] for r in before.values()} == {CHAIR_ID, FLOOR_ID}
    assert all(r["certificate"]["iou"] >= 0.95 for r in before.values())

    floor = next(r for r in before.values() if r["class_id"] == FLOOR_ID)
    page.locator(f"[role=treeitem][data-region='{floor['id']}']").click()
    page.locator("#canvas-host").focus()
    click(page, 330, 300, button_held="Alt")
    accept(page, 2)
    corrected = own.api("GET", f"/regions/{floor['id']}")
    assert corrected["revision"] > floor["revision"]
    assert any(p["label"] == 0 for p in corrected["geometry"]["points"])

    page.keyboard.press("Control+z")
    expect(page.locator("#redo")).to_be_enabled()
    assert own.api("GET", f"/regions/{floor['id']}")["geometry"] == floor["geometry"]
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#redo")).to_be_disabled()
    assert own.api("GET", f"/regions/{floor['id']}")["geometry"] == corrected["geometry"]

    page.reload()
    shown(page, 41)
    expect(page.locator("#undo")).to_be_enabled()
    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("#export-dialog input[value='palette-png']").check()
    page.locator("#export-dialog").get_by_role("button", name="Export", exact=False).last.click()
    link = page.locator("#export-files a").filter(has_text="palette-png")
    with page.expect_download() as download:
        link.click()
    archive = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    names = sorted(name for name in archive.namelist() if name.endswith(".png"))
    assert [Path(name).stem for name in names] == ["chair_000000", "chair_000020", "chair_000040"]
    template = own.api("GET", f"/class-templates/{project['class_template_id']}")
    colours = {c["id"]: c["colour"] for c in template["classes"]}
    for name in names:
        picture = Image.open(io.BytesIO(archive.read(name)))
        assert (picture.mode, picture.size) == ("P", (720, 480))
        values = set(np.unique(np.asarray(picture)).tolist())
        assert {CHAIR_ID, FLOOR_ID} <= values <= {0, CHAIR_ID, FLOOR_ID}
        palette = picture.getpalette()
        assert palette is not None
        for class_id in (CHAIR_ID, FLOOR_ID):
            assert (
                "#{:02x}{:02x}{:02x}".format(*palette[3 * class_id : 3 * class_id + 3]) == colours[class_id]
            )


def test_the_corrected_map_in_the_browser_is_the_map_on_the_server(
    page: Page, own: Server, clip: bytes
) -> None:
    """Class ids under the pointer, asked from the canvas, equal those of the exported PNG."""
    project = own.project("Same map")
    asset = own.asset(project, "disc.mp4", clip)
    frame = f"{asset['id']}-000000"
    own.api(
        "POST",
        f"/frames/{frame}/regions",
        json={"id": new_id(), "class_id": 3, "geometry": {"points": [{"x": 48, "y": 54, "r": 20}]}},
        timeout=60,
    )
    page.goto(f"{own.url}/workspace/{project['id']}?asset={asset['id']}&frame=1")
    shown(page, 1)
    expect(page.locator(TREE_REGIONS)).to_have_count(1)
    page.mouse.move(*canvas_point(page, 48, 54))
    expect(page.locator("#pixel-readout")).to_contain_text("object")
    png = own.http.get(f"/api/v1/frames/{frame}/label-map.png?mode=index").content
    labels = np.asarray(Image.open(io.BytesIO(png)))
    truth = drawing.scene(0, 160, 120)[1] == 1
    assert labels[54, 48] == 3
    overlap = ((labels == 3) & truth).sum() / ((labels == 3) | truth).sum()
    assert overlap > 0.8


def test_no_page_has_an_accessibility_violation(page: Page, own: Server, clip: bytes) -> None:
    project = own.project("Accessible")
    asset = own.asset(project, "disc.mp4", clip)
    own.api(
        "POST",
        f"/frames/{asset['id']}-000000/regions",
        json={"id": new_id(), "class_id": 3, "geometry": {"outline": [[[10, 10], [60, 10], [60, 60]]]}},
    )
    pages = ["/", "/library", "/templates", "/jobs", "/engines", "/settings", f"/workspace/{project['id']}"]
    for path in pages:
        page.goto(own.url + path)
        expect(page.locator("main").first).to_be_visible()
        if path.startswith("/workspace"):
            shown(page, 1)
        found = Axe().run(page).response["violations"]
        assert found == [], (path, [(v["id"], [n["target"] for n in v["nodes"]]) for v in found])


def test_every_page_opens_without_an_error_and_names_its_controls(page: Page, own: Server) -> None:
    for path in ("/", "/library", "/templates", "/jobs", "/engines", "/settings"):
        answer = page.goto(own.url + path)
        assert answer is not None
        assert answer.ok, path
        nameless = page.evaluate(
            "() => [...document.querySelectorAll('button, a[href], input:not([type=hidden]):not([hidden])')]"
            ".filter(e => !e.hidden && !(e.innerText || e.ariaLabel || e.title || e.labels?.length"
            " || e.getAttribute('aria-labelledby') || e.placeholder || e.ariaHidden))"
            ".map(e => e.outerHTML)"
        )
        assert nameless == [], json.dumps(nameless)
