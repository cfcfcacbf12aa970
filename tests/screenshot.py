"""Makes the README's picture: a drawn video, labelled over the API, in the real workspace.

.venv/bin/python -m tests.screenshot
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from app.client import Client
from app.models import new_id
from app.settings import load
from app.supervisor import Supervisor
from tests import drawing
from tests.browser.conftest import ARGUMENTS

TARGET = Path(__file__).resolve().parents[1] / ".docs" / "workspace.png"
CLICKS = {3: (300, 250, 60), 5: (720, 330, 50)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "shapes.mp4"
        drawing.video(video, frames=48, width=960, height=540, fps=24)
        supervisor = Supervisor(load(None, data=Path(folder) / "data", port=0, open_browser=False))
        url = supervisor.start()
        try:
            http = httpx.Client(base_url=f"{url}/api/v1", timeout=120)
            project = http.post("/projects", json={"name": "Shapes"}).json()
            upload = new_id()
            http.put(f"/uploads/{upload}?name=shapes.mp4", content=video.read_bytes())
            made = http.post(f"/projects/{project['id']}/assets", json={"upload_id": upload}).json()
            Client(url).wait(made["job"])
            label(http, Client(url), project["id"], made["asset"]["id"])
            picture(f"{url}/workspace/{project['id']}?frame=21")
        finally:
            supervisor.stop()


def label(http: httpx.Client, client: Client, project: str, asset: str) -> None:
    """Two objects of the first frame followed to the end, one of them corrected on frame 21 and followed anew."""

    def tracked(regions: list[str], **more: str) -> None:
        body = {"asset_id": asset, "region_ids": regions, **more}
        client.wait(http.post(f"/projects/{project}/tracks", json=body).raise_for_status().json())

    def points(class_id: int, index: int) -> list[dict[str, int]]:
        x, y, reach = CLICKS[class_id]
        return [{"x": x + 11 * index * (class_id == 3), "y": y, "r": reach}]

    ids = []
    for class_id in CLICKS:
        body = {"id": new_id(), "class_id": class_id, "geometry": {"points": points(class_id, 0)}}
        http.post(f"/frames/{asset}-000000/regions", json=body).raise_for_status()
        ids.append(body["id"])
    tracked(ids)
    here = http.get(f"/frames/{asset}-000020/regions").json()
    region = next(one for one in here if one["class_id"] == 3)
    http.patch(f"/regions/{region['id']}", json={"geometry": {"points": points(3, 20)}}).raise_for_status()
    tracked([region["id"]], direction="between")
    for start, stop, state in ((0, 7, "approved"), (8, 13, "done")):
        body = {"start": start, "stop": stop, "state": state}
        http.post(f"/assets/{asset}/states", json=body).raise_for_status()


def picture(address: str) -> None:
    TARGET.parent.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        expect(page.locator("[role=treeitem][data-region]")).to_have_count(2, timeout=30_000)
        page.locator("[role=treeitem][data-region]").first.click()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1500)
        page.screenshot(path=TARGET)
        browser.close()
    Image.open(TARGET).convert("RGB").quantize(256).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
