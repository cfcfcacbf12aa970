"""Ground truth by the page: dry run, mapping, import, points that can be dragged, and all of it taken back."""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.test_main_job import canvas_point, shown
from tests.conftest import MakeServer, Server

FRAMES = 4
CAR, BICYCLIST = 8, 10


@pytest.fixture(scope="module")
def own(make_server: MakeServer) -> Server:
    return make_server()


@pytest.fixture
def camvid(own: Server, shared_data: Path, tmp_path: Path) -> tuple[dict, dict, Path]:
    """A project with the first frames of a CamVid sequence, and a folder with their masks."""
    sequence = shared_data / "sequences" / "camvid_0016E5_15hz"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for image in sorted((sequence / "images").iterdir())[:FRAMES]:
            archive.write(image, image.name)
    masks = tmp_path / "masks"
    masks.mkdir()
    for mask in sorted((sequence / "masks").iterdir())[:FRAMES]:
        shutil.copyfile(mask, masks / mask.name)
    template = own.api("POST", "/class-templates", json={"name": "CamVid", "preset": "camvid"})
    project = own.api("POST", "/projects", json={"name": "Streets", "class_template_id": template["id"]})
    return project, own.asset(project, "streets.zip", packed.getvalue()), masks


def labels_of(server: Server, frame: str) -> np.ndarray:
    """The class values of a frame, (H, W)."""
    png = server.http.get(f"/api/v1/frames/{frame}/label-map.png?mode=index&unlabelled=255").content
    return np.asarray(Image.open(io.BytesIO(png)))


def ready(page: Page) -> None:
    """Wait until the script of the page answers."""
    expect(page.locator(".steps [aria-current=step]")).to_contain_text("Source")


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert found == [], [(v["id"], [n["target"] for n in v["nodes"]]) for v in found]


def test_camvid_comes_in_as_points_that_can_be_dragged_and_goes_as_one_step(
    page: Page, own: Server, camvid: tuple[dict, dict, Path]
) -> None:
    project, asset, masks = camvid
    frame = f"{asset['id']}-000000"
    page.goto(f"{own.url}/workspace/{project['id']}?frame=1")
    page.get_by_role("link", name="Import ground truth").click()
    ready(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="choose a folder").click()
    chooser.value.set_files(str(masks))
    page.get_by_role("button", name="Check without importing").click()

    # The dry run: everything matches; what the template does not know blocks until it is decided.
    rows = page.locator("#map-table tbody tr")
    expect(rows).to_have_count(12)
    expect(page.locator("#gt-counts li").first).to_contain_text(f"{FRAMES}Matched")
    go = page.get_by_role("button", name=f"Import {FRAMES} frames")
    expect(go).to_be_disabled()
    expect(page.locator("#gt-say")).to_contain_text("1 class is not mapped")
    page.get_by_role("button", name="Ignore the rest").click()
    for value in (CAR, BICYCLIST):
        rows.filter(has=page.get_by_role("cell", name=str(value), exact=True)).get_by_role("checkbox").check()
    page.get_by_label("Map the selected classes to").select_option(label="New class…")
    page.locator("#nc-name").fill("road user")
    page.get_by_role("button", name="Add class").click()
    expect(page.locator("#map-table select").filter(has_text="road user (new)")).to_have_count(12)

    # Hidden ground truth asks for less; what was chosen for regions is kept meanwhile.
    page.get_by_label("As hidden ground truth").check()
    expect(page.get_by_role("button", name=f"Keep {FRAMES} frames hidden")).to_be_enabled()
    expect(page.locator("#gt-say")).to_contain_text("become hidden ground truth")
    expect(page.get_by_label("IoU to reach")).to_be_hidden()
    page.get_by_label("As regions").check()
    accessible(page)
    assert own.api("GET", f"/frames/{frame}")["regions"] == []
    go.click()

    # The result, also after a reload: worst first, each beside its original mask.
    expect(page.locator("#worst [aria-selected=true]")).to_be_visible()
    page.reload()
    expect(page.locator("#cmp-note")).to_contain_text("IoU of what is seen here")
    accessible(page)
    before = page.locator("#cmp-name").inner_text(), page.locator("#cmp-facts").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#worst-1")).to_have_attribute("aria-selected", "true")
    assert (page.locator("#cmp-name").inner_text(), page.locator("#cmp-facts").inner_text()) != before
    address = page.url

    template = own.api("GET", f"/class-templates/{project['class_template_id']}")
    ids = {c["name"]: c["id"] for c in template["classes"]}
    mine = ids["road user"]
    regions = own.api("GET", f"/frames/{frame}")["regions"]
    assert {ids["car"], ids["bicyclist"]}.isdisjoint({r["class_id"] for r in regions})
    region = next(r for r in regions if r["class_id"] == mine)
    truth = np.isin(np.asarray(Image.open(sorted(masks.iterdir())[0])), (CAR, BICYCLIST))
    labels = labels_of(own, frame)
    assert ((labels == mine) & truth).sum() / ((labels == mine) | truth).sum() >= 0.94

    # Points on the canvas; one of them is dragged onto the road, and the map follows.
    page.goto(f"{own.url}/workspace/{project['id']}?asset={asset['id']}&frame=1&region={region['id']}")
    shown(page, 1)
    expect(page.locator(f"[data-region='{region['id']}']").first).to_have_attribute("aria-selected", "true")
    point = next(p for p in region["geometry"]["points"] if p["label"] == 1)
    target = (200.5, 320.5)
    assert labels[320, 200] != mine
    page.mouse.move(*canvas_point(page, point["x"], point["y"]))
    page.mouse.down()
    page.mouse.move(*canvas_point(page, 210, 300))
    page.mouse.move(*canvas_point(page, *target))
    page.mouse.up()
    expect(page.locator("#pixel-readout")).to_contain_text("road user")
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
    assert labels_of(own, frame)[320, 200] == mine

    # The import is not the last edit now, so it cannot be taken back over the other one.
    here = page.url
    page.goto(address)
    page.get_by_role("button", name="Undo the whole import").click()
    expect(page.locator("#gt-problem")).to_contain_text("Undo that first")
    page.goto(here)
    shown(page, 1)
    page.keyboard.press("Control+z")
    expect(page.locator("#redo")).to_be_enabled()
    assert own.api("GET", f"/regions/{region['id']}")["geometry"] == region["geometry"]

    page.goto(address)
    page.get_by_role("button", name="Undo the whole import").click()
    expect(page.locator("#gt-problem")).to_contain_text("masks.zip")
    expect(page.locator("#gt-sum")).to_contain_text("Taken back")
    expect(page.get_by_role("button", name="Undo the whole import")).to_be_hidden()
    found = [own.api("GET", f"/frames/{asset['id']}-{n:06d}")["regions"] for n in range(FRAMES)]
    assert found == [[]] * FRAMES


def test_a_source_that_is_none_is_refused_in_words_and_another_can_be_chosen(
    page: Page, own: Server, clip: bytes
) -> None:
    project = own.project("No ground truth")
    own.asset(project, "disc.mp4", clip)
    page.goto(f"{own.url}/projects/{project['id']}/import")
    ready(page)
    expect(page.get_by_role("button", name="Check without importing")).to_be_disabled()
    accessible(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files([{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"only words"}])
    page.get_by_role("button", name="Check without importing").click()
    expect(page.locator("#gt-dry-progress")).to_contain_text(re.compile("not ground truth|cannot be read"))
    expect(page.locator("#gt-dry-progress")).to_contain_text("Nothing was changed")
    page.get_by_role("button", name="Change the source").click()
    page.get_by_role("button", name="Use something else").click()
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
