"""From an arrow key to the next frame on screen, with its label map, in a real Chromium on a real server.

Frames of 1080p with regions in three classes. A script on the page notes when the key reached the window and, by
listening to the store, when the frame with its map is there; the painting is over when the animation frame after
that is. The neighbours are fetched meanwhile: there is a pause between two keys.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from app.bench.extracting import make_clip
from app.bench.serving import Imported, answer, client, imported, served
from app.errors import Unavailable
from app.models import new_id

FRAMES = 60
JUMPS = 100
WARM_UP = 6
PAUSE_MS = 350
TARGET = {"p50": 30.0, "p95": 80.0}
WINDOW: Any = {"width": 1440, "height": 900}
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

FIRST = """
addEventListener('keydown', (event) => {
  globalThis.pressed = { at: event.timeStamp, from: globalThis.pointillist?.store.get().frameId };
}, true);
"""
"""Runs before the scripts of the page: theirs may show the frame before another listener is asked."""
NOTE = """() => {
  globalThis.pointillist.store.on((state) => {
    const { pressed } = globalThis;
    if (!pressed || !state.map || !state.image || state.frameId === pressed.from) return;
    globalThis.pressed = null;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => globalThis.tell(performance.now() - pressed.at);
      port2.postMessage(0);
    });
  });
}"""
"""The message comes after the browser has done with the animation frame in which the layers painted."""
EXPECT = "() => { globalThis.told = new Promise((tell) => { globalThis.tell = tell; }); }"


def missing() -> str | None:
    """What is not installed that this benchmark needs, as a sentence; None where all is there."""
    if find_spec("playwright") is None:
        return "Playwright is not installed; it is in the extra [dev]."
    if not any(map(shutil.which, PROGRAMS)):
        return "There is no Chromium on the path."
    return None


def run(*, jumps: int = JUMPS, clip: Path | None = None) -> dict[str, Any]:
    """{"p50", "p95"} in milliseconds; `clip`: a video instead of the drawn one.

    Raises Unavailable where Playwright or Chromium is not installed.
    """
    if reason := missing():
        raise Unavailable(reason)
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as folder:
        if clip is None:
            clip = Path(folder) / "clip.mp4"
            make_clip(clip, FRAMES)
        with served(Path(folder) / "data") as url:
            with client(url) as http:
                made = imported(http, clip.name, clip.read_bytes())
                label(http, made)
            times = _jump(url, made, jumps + WARM_UP)[WARM_UP:]
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


def label(http: httpx.Client, made: Imported) -> None:
    """Three regions of different classes on every frame, drawn by their outlines."""
    width, height = _size(http, made)
    template = answer(http.get(f"/projects/{made.project}"))["project"]["class_template_id"]
    classes = [one["id"] for one in answer(http.get(f"/class-templates/{template}"))["classes"]][:3]
    for number, frame in enumerate(made.frames):
        shift = 2 * (number % 60)
        for place, class_id in enumerate(classes):
            angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
            x = np.clip(width * (0.2 + 0.3 * place) + shift + width * 0.16 * np.cos(angles), 0, width)
            y = np.clip(
                height * 0.5 + height * (0.25 + 0.04 * np.sin(7 * angles)) * np.sin(angles), 0, height
            )
            ring = np.round(np.stack([x, y], axis=1), 2).tolist()
            body = {"id": new_id(), "class_id": class_id, "geometry": {"outline": [ring]}}
            answer(http.post(f"/frames/{frame}/regions", json=body))


def _size(http: httpx.Client, made: Imported) -> tuple[int, int]:
    asset = answer(http.get(f"/assets/{made.asset}"))
    return asset["width"], asset["height"]


def _jump(url: str, made: Imported, jumps: int) -> list[float]:
    last = len(made.frames) - 1
    with _page() as page:
        page.add_init_script(FIRST)
        page.goto(f"{url}/workspace/{made.project}?asset={made.asset}&frame=1")
        page.locator(f"#canvas-host[data-frame='{made.frames[0]}']").wait_for()
        page.wait_for_timeout(4 * PAUSE_MS)
        page.evaluate(NOTE)
        page.locator("#canvas-host").focus()
        at, step = 0, 1
        times: list[float] = []
        for _ in range(jumps):
            if not 0 <= at + step <= last:
                step = -step
            at += step
            page.evaluate(EXPECT)
            page.keyboard.press("ArrowRight" if step > 0 else "ArrowLeft")
            times.append(page.evaluate("() => globalThis.told"))
            page.wait_for_timeout(PAUSE_MS)
    return times


@contextmanager
def _page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(path for path in map(shutil.which, PROGRAMS) if path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser.new_page(viewport=WINDOW)
        finally:
            browser.close()


if __name__ == "__main__":
    for name, value in run().items():
        print(f"jump_ms {name} {value:.1f} (target <= {TARGET[name]:g})")
