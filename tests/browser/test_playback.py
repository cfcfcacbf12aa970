"""Playback in a real browser: a looped range, a stop on the frame that is seen, and its own regions."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from app.models import new_id
from tests.conftest import Server

WATCH = """() => {
  const { store } = globalThis.pointillist;
  globalThis.seen = [];
  store.on((state, changed) => {
    if (!state.playing || !changed.has('image')) return;
    seen.push({ index: state.index, frame: state.frameId, map: state.map?.key ?? null });
  });
  addEventListener('keydown', (e) => {
    if (e.key === ' ' && store.get().playing) globalThis.pressed = store.get().frameId;
  }, true);
}"""
ROUNDS = """(n) => new Promise((resolve) => globalThis.pointillist.store.on(() => {
  if (seen.filter((at, i) => i && at.index < seen[i - 1].index).length >= n) resolve();
}))"""

NOW = """() => {
  const { frameId, map, regions } = globalThis.pointillist.store.get();
  return [frameId, map.key, regions.map((region) => region.frame_id)];
}"""


def test_a_range_loops_with_its_regions_and_stops_on_the_frame_that_is_seen(
    page: Page, server: Server, clip: bytes
) -> None:
    project = server.project("Played")
    asset = server.asset(project, "disc.mp4", clip)["id"]
    for index in range(1, 5):
        body = {
            "id": new_id(),
            "class_id": 3,
            "geometry": {"outline": [[[8 * index, 20], [90, 20], [90, 60]]]},
        }
        server.api("POST", f"/frames/{asset}-{index:06d}/regions", json=body)
    page.goto(f"{server.url}/workspace/{project['id']}?asset={asset}&frame=2")
    host = page.locator("#canvas-host")
    expect(host).to_have_attribute("data-frame", f"{asset}-000001")
    host.focus()
    page.keyboard.press("{")
    page.locator("#frame-number").fill("5")
    page.keyboard.press("Enter")
    expect(host).to_have_attribute("data-frame", f"{asset}-000004")
    page.keyboard.press("}")
    page.keyboard.press("Shift+L")
    expect(page.get_by_role("button", name="Loop the selected frames")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.evaluate(WATCH)

    page.keyboard.press("Space")
    page.evaluate(ROUNDS, 2)
    page.keyboard.press("Space")

    expect(page.locator("#transport [data-action=play]")).to_have_attribute("aria-label", re.compile("^Play"))
    seen, pressed = page.evaluate("() => [seen, pressed]")
    assert {at["index"] for at in seen} <= {1, 2, 3, 4}
    keys = {f"{asset}-{i:06d}": server.api("GET", f"/frames/{asset}-{i:06d}")["key"] for i in range(1, 5)}
    assert all(at["frame"] == f"{asset}-{at['index']:06d}" and at["map"] == keys[at["frame"]] for at in seen)
    expect(host).to_have_attribute("data-frame", pressed)
    expect(page.locator("#frame-number")).to_have_value(str(int(pressed[-6:]) + 1))
    shown = page.evaluate(NOW)
    assert shown == [pressed, keys[pressed], [pressed]]
