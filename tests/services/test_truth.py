"""Hidden ground truth through the HTTP API: imported, kept from labels, held out, scored against, and deleted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from app.algo.scoring import VOID
from app.cli import main
from app.formats import label_png, truth_png
from app.models import new_id
from tasks import truth_files
from tests import pngs
from tests.conftest import Server
from tests.services.test_imports import HEIGHT, WIDTH, Project, png, zipped

SHAPE = (HEIGHT, WIDTH)
CLASSES = {
    "classes": [{"id": 1, "name": "disc"}, {"id": 2, "name": "bar"}, {"id": 0, "name": "floor"}],
    "ignore": 255,
}


class World(Project):
    """Two drawn images; beside the project's own, label maps can be imported as hidden ground truth."""

    def hide(self, labels: list[np.ndarray] | bytes | None = None, **body: Any) -> dict[str, Any]:
        """Import the maps as hidden ground truth: 1 disc, 2 bar, 0 of no class, 255 void."""
        if not isinstance(labels, bytes):
            maps = self.labels if labels is None else labels
            files = {f"masks/shot_{index}.png": png(one) for index, one in enumerate(maps)}
            files["classes.json"] = json.dumps(CLASSES).encode()
            labels = zipped(files)
        upload = self.server.upload("hidden.zip", labels)
        body = {"mapping": {"value:0": 0, "value:1": 1, "value:2": 2, "value:255": 0}, **body}
        return self.run(upload_id=upload, dry_run=False, keep="truth", **body)

    def kept(self, index: int) -> np.ndarray:
        folder = truth_files.folder_of(self.server.data, self.asset["id"])
        return truth_png.decode_map(truth_files.map_path(folder, index).read_bytes(), SHAPE, "it")

    def draw(self, index: int, class_id: int, x0: int, y0: int, x1: int, y1: int) -> str:
        """A rectangle by hand; its id."""
        outline = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]
        body = {"id": new_id(), "class_id": class_id, "geometry": {"outline": outline}}
        self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)
        return body["id"]

    def hidden(self) -> dict[str, Any]:
        return self.server.api("GET", f"/projects/{self.id}/truth")

    def keep_both(self) -> None:
        """A disc's class in a rectangle of both frames, as hidden ground truth and as labels."""
        for index in range(2):
            self.draw(index, 1, 10, 10, 50, 30)
        self.server.finished(self.keep(frames=[0, 1]))

    def keep(self, *, status: int = 202, **body: Any) -> dict[str, Any]:
        body = {"asset_id": self.asset["id"], **body}
        return self.server.api("POST", f"/projects/{self.id}/truth", json=body, status=status)

    def score(self, **body: Any) -> dict[str, Any]:
        job = self.server.finished(self.server.api("POST", f"/projects/{self.id}/score", json=body))
        assert job["state"] == "done", job["reason"]
        self.result = job["result"]
        return self.scores()

    def scores(self) -> dict[str, Any]:
        return self.server.api("GET", f"/projects/{self.id}/scores")

    def clear(self) -> None:
        if self.hidden()["frames"]:
            self.server.api("DELETE", f"/projects/{self.id}/truth")
        for index in range(2):
            for region in self.regions(index):
                self.server.api("DELETE", f"/regions/{region['id']}")
            self.state(index, "todo")

    def state(self, index: int, state: str) -> None:
        self.server.api("PATCH", f"/frames/{self.frame(index)}", json={"state": state})

    def states(self) -> list[str]:
        return [self.server.api("GET", f"/frames/{self.frame(i)}")["frame"]["state"] for i in range(2)]


@pytest.fixture(scope="module")
def made(server: Server) -> World:
    return World(server)


@pytest.fixture
def world(made: World) -> World:
    """Without truth, regions, or a frame that is done."""
    made.clear()
    return made


def test_imported_truth_is_exact_and_hidden_and_labels_are_scored_by_class(world: World) -> None:
    truth = [np.zeros(SHAPE, np.uint8) for _ in range(2)]
    truth[0][10:30, 10:50], truth[0][40:60, 10:50], truth[0][:5] = 1, 2, 255
    truth[1][10:30, 10:50] = 1
    report = world.hide(truth)
    assert (report["keep"], report["regions"], report["edit_id"]) == ("truth", 0, None)
    assert report["kept"] == {"frames": 2, "objects": 0, "pixels": 2400, "void": 5 * WIDTH}
    server, asset = world.server, world.asset["id"]
    assert (
        "nothing became regions"
        in server.api("GET", f"/imports/{report['job_id']}/regions", status=404)["detail"]
    )
    for index, one in enumerate(truth):
        assert (world.kept(index) == np.where(one == 255, VOID, one.astype(np.uint16))).all()
        assert world.regions(index) == []
        shown = server.http.get(f"/api/v1/frames/{world.frame(index)}/label-map.png?mode=index")
        assert not label_png.read_pixels(shown.content).any()
    found = world.hidden()
    assert found["frames"] == 2
    (row,) = found["assets"]
    assert (row["asset_id"], row["truths"], row["objects"], row["runs"]) == (asset, 2, 0, [[0, 2]])
    assert [(s["source"], s["frames"]) for s in row["sources"]] == [("hidden.zip", 2)]

    world.draw(0, 1, 10, 10, 50, 35)
    world.draw(0, 2, 0, 0, 20, 5)
    scores = world.score()
    assert (scores["frames"], scores["scored"], scores["stale"], scores["unscored"]) == (2, 2, 0, 0)
    disc, bar = scores["classes"]
    assert (disc["class_id"], disc["name"]) == (1, "disc")
    assert (disc["truth_px"], disc["found_px"], disc["both_px"]) == (1600, 1000, 800)
    assert disc["iou"] == pytest.approx(800 / 1800)
    assert (disc["precision"], disc["recall"]) == (0.8, 0.5)
    # What was drawn over void counts nowhere.
    assert (bar["truth_px"], bar["found_px"], bar["iou"], bar["precision"]) == (800, 0, 0, None)
    assert scores["miou"] == pytest.approx(800 / 1800 / 2)
    pixels = 2 * WIDTH * HEIGHT - 5 * WIDTH
    assert scores["pixels"] == pixels
    assert scores["pixel_accuracy"] == pytest.approx(1 - (200 + 800 + 800) / pixels)
    assert scores["confusion"]["class_ids"] == [0, 1, 2]
    assert scores["confusion"]["rows"][1:] == [[800, 800, 0], [800, 0, 0]]
    assert [(row["index"], row["miou"]) for row in scores["worst"]] == [
        (1, 0.0),
        (0, pytest.approx(800 / 1000 / 2)),
    ]
    table = world.server.http.get(f"/api/v1/projects/{world.id}/scores/file?format=csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["frame"], row["class"], row["both_px"]) for row in rows] == [
        ("0", "disc", "800"),
        ("0", "bar", "0"),
        ("1", "disc", "0"),
    ]
    text = world.server.http.get(f"/api/v1/projects/{world.id}/scores/file?format=json")
    assert text.json() == scores
    assert "attachment" in text.headers["content-disposition"]


def test_no_route_gives_the_hidden_maps_away(world: World) -> None:
    world.keep_both()
    world.score()
    server, asset = world.server, world.asset["id"]
    kept = truth_files.map_path(truth_files.folder_of(server.data, asset), 0).read_bytes()
    paths = server.http.get("/api/openapi.json").json()["paths"]
    values = {"asset_id": asset, "frame_id": world.frame(0), "project_id": world.id, "job_id": new_id()}
    seen = 0
    for path, methods in paths.items():
        names = _names(path)
        if "get" not in methods or not names or any(name not in values for name in names):
            continue
        answer = server.http.get(path.format(**values))
        seen += answer.status_code == 200
        assert kept not in answer.content, path
        assert b"/truth/" not in answer.content, path
    assert seen > 15
    for name in ("000000.png", "../truth/000000.png"):
        for folder in ("truth", "frames", "thumbs"):
            assert server.http.get(f"/api/v1/assets/{asset}/{folder}/{name}").status_code == 404
    job = server.finished(
        server.api("POST", f"/projects/{world.id}/exports", json={"format": "bundle", "media": True})
    )
    name = job["result"]["files"][0]["name"]
    bundle = server.http.get(f"/api/v1/jobs/{job['id']}/files/{name}").content
    assert kept not in bundle
    assert b"truth" not in bundle


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def test_only_what_changed_is_scored_again(world: World) -> None:
    world.keep_both()
    world.score()
    assert (world.result["frames"], world.result["scored"]) == (2, 2)
    world.score()
    assert world.result["frames"] == 0
    world.draw(1, 1, 10, 40, 50, 45)
    assert (world.scores()["scored"], world.scores()["stale"]) == (2, 1)
    scores = world.score()
    assert (world.result["frames"], scores["stale"]) == (1, 0)
    world.server.finished(world.keep(frames=[0]))
    assert (world.scores()["scored"], world.scores()["unscored"]) == (1, 1)
    world.score(all=True)
    assert world.result["scored"] == 2


def test_labels_that_are_held_out_become_hidden_truth_and_come_back_by_undo(world: World) -> None:
    for index in range(2):
        world.draw(index, 1, 10, 10, 50, 30)
        world.draw(index, 2, 60, 10, 80, 30)
    before = world.regions(0)
    world.state(0, "approved")
    job = world.server.finished(world.keep(frames=[0], hold_out=True))
    assert job["state"] == "done", job["reason"]
    assert job["result"]["runs"] == [[0, 1]]
    assert world.regions(0) == []
    assert len(world.regions(1)) == 2
    assert world.states() == ["todo", "todo"]
    assert world.scores()["unscored"] == 1
    assert world.score()["miou"] == 0
    said = world.undo()
    assert said["what"] == "Brought the held out labels back."
    assert [r["id"] for r in world.regions(0)] == [r["id"] for r in before]
    assert world.states() == ["approved", "todo"]
    assert world.scores()["stale"] == 1
    scores = world.score()
    assert (scores["miou"], scores["pixel_accuracy"], scores["boundary_f"]) == (1, 1, 1)


def test_tracks_are_scored_against_the_objects_that_they_were(world: World) -> None:
    palette = ["#000000", "#d03c2c", "#286ebe"]
    maps = {f"Annotations/shots/shot_{i}.png": pngs.png(one, palette) for i, one in enumerate(world.labels)}
    mapping = {"value:1": 1, "value:2": 2}
    world.bring_in(upload_id=world.server.upload("t.zip", zipped(maps)), mapping=mapping, budget=0)
    job = world.server.finished(world.keep(frames=[0, 1]))
    assert job["result"]["objects"] == 2
    gone = next(region for region in world.regions(1) if region["class_id"] == 2)
    world.server.api("DELETE", f"/regions/{gone['id']}")
    tracks = {row["object"]: row for row in world.score()["tracks"]}
    disc, bar = tracks["shots/1"], tracks["shots/2"]
    assert (disc["class_id"], disc["name"], disc["frames"]) == (1, "shots/1", 2)
    assert (disc["j"], disc["f"], disc["jf"]) == (1, 1, 1)
    assert (bar["name"], bar["frames"], bar["jf"]) == ("shots/2", 2, 0.5)


def test_frames_to_keep_can_be_drawn_at_random_and_again(world: World) -> None:
    for index in range(2):
        world.draw(index, 1, 10, 10, 50, 30)
        world.state(index, "done")
    job = world.server.finished(world.keep(count=1, seed=5))
    assert (job["result"]["seed"], job["result"]["frames"]) == (5, 1)
    first = world.hidden()["assets"][0]["runs"]
    said = world.server.api("DELETE", f"/projects/{world.id}/truth?asset_id={world.asset['id']}")
    assert said == {"frames": 1, "what": "The hidden ground truth of 1 frame was deleted."}
    assert world.hidden() == {"frames": 0, "assets": []}
    folder = truth_files.folder_of(world.server.data, world.asset["id"])
    assert list(folder.iterdir()) == []
    world.server.finished(world.keep(count=1, seed=5))
    assert world.hidden()["assets"][0]["runs"] == first


def test_real_masks_are_kept_to_the_pixel_and_their_own_labels_score_high(
    server: Server, shared_data: Path
) -> None:
    sequence = shared_data / "sequences" / "camvid_0016E5_15hz"
    images = sorted((sequence / "images").iterdir())[:3]
    masks = sorted((sequence / "masks").iterdir())[:3]
    template = server.api("POST", "/class-templates", json={"name": "CamVid", "preset": "camvid"})
    row = server.api("POST", "/projects", json={"name": "Streets", "class_template_id": template["id"]})
    asset = server.asset(row, "streets.zip", zipped({path.name: path.read_bytes() for path in images}))
    packed = zipped(
        {f"masks/{path.name}": path.read_bytes() for path in masks}
        | {"classes.json": (sequence / "classes.json").read_bytes()}
    )
    mapping = {f"value:{i}": template["classes"][i]["id"] for i in range(11)} | {"value:11": 0}
    body = {"mapping": mapping, "dry_run": False, "remember": False}
    hidden = server.finished(
        server.api(
            "POST",
            f"/projects/{row['id']}/imports",
            json={**body, "upload_id": server.upload("masks.zip", packed), "keep": "truth"},
        )
    )
    assert hidden["state"] == "done", hidden["reason"]
    folder = truth_files.folder_of(server.data, asset["id"])
    for index, path in enumerate(masks):
        source = label_png.read_pixels(path.read_bytes())
        kept = truth_png.decode_map(
            truth_files.map_path(folder, index).read_bytes(), (source.shape[0], source.shape[1]), "it"
        )
        table = np.array([*(mapping[f"value:{i}"] for i in range(11)), VOID], np.uint16)
        assert (kept == table[source]).all()
        assert len(np.unique(kept)) > 8
    first = server.upload("first.zip", zipped({f"masks/{masks[0].name}": masks[0].read_bytes()}))
    body |= {"upload_id": first, "budget": 0}
    shown = server.finished(server.api("POST", f"/projects/{row['id']}/imports", json=body))
    assert shown["state"] == "done", shown["reason"]
    server.finished(server.api("POST", f"/projects/{row['id']}/score", json={}))
    scores = server.api("GET", f"/projects/{row['id']}/scores")
    assert scores["scored"] == 3
    assert [frame["index"] for frame in scores["worst"]] == [1, 2, 0]
    assert [frame["miou"] for frame in scores["worst"]][:2] == [0, 0]
    assert scores["worst"][2]["miou"] > 0.9
    assert scores["worst"][2]["pixel_accuracy"] > 0.95
    assert sum(map(sum, scores["confusion"]["rows"])) == scores["pixels"]


def test_the_command_line_keeps_lists_scores_and_deletes(world: World, tmp_path: Path) -> None:
    for index in range(2):
        world.draw(index, 1, 10, 10, 50, 30)

    def said(*args: str) -> str:
        place = ["--server", world.server.url, "--project", world.id]
        done = CliRunner().invoke(main, ["truth", *args, *place], env={"POINTILLIST_SERVER": ""})
        assert done.exit_code == 0, done.output
        return done.stdout

    assert said("list") == "There is no hidden ground truth.\n"
    assert said("keep", "--frame", "0", "--frame", "1") == "Kept the labels of 2 frames (0–1).\n"
    first = said("list").splitlines()
    assert first == ["shots.zip: 2 of 2 frames (0–1)", "  2 from labels, kept by local"]
    assert "  disc  IoU 1.000  precision 1.000  recall 1.000  boundary F 1.000" in said("score").splitlines()
    world.draw(1, 2, 10, 40, 50, 60)
    lines = said("scores").splitlines()
    assert lines[:2] == [
        "2 of 2 frames with hidden ground truth are scored.",
        "1 of them changed since: score again.",
    ]
    assert json.loads(said("scores", "--json")) == world.scores()
    said("scores", "--csv", str(tmp_path / "t.csv"))
    assert (
        (tmp_path / "t.csv").read_text().splitlines()[1].startswith("shots.zip,0,1,disc,800,800,800,1.000000")
    )
    assert said("delete", "--frame", "0") == "The hidden ground truth of 1 frame was deleted.\n"
    assert said("list").startswith("shots.zip: 1 of 2 frames (1)")
    refused = CliRunner().invoke(main, ["truth", "delete", "--all", "--frame", "0", "--project", world.id])
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 422, "which frames, or how many"),
        ({"frames": [0], "count": 1}, 422, "one of the two"),
        ({"frames": []}, 422, "at least one"),
        ({"frames": [2]}, 422, "no frame 2"),
        ({"frames": [0, 1]}, 422, "2 of these frames have no label"),
        ({"count": 1}, 422, "Only 0 frames are done or approved"),
        ({"frames": [-1]}, 400, ""),
        ({"frames": [0], "asset_id": "f" * 24}, 404, "no such asset"),
        ({"frames": [0], "hold": True}, 400, ""),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(
    world: World, body: dict[str, Any], status: int, sentence: str
) -> None:
    assert sentence in world.keep(status=status, **body)["detail"]


def test_what_cannot_be_scored_or_deleted_is_refused_with_a_sentence(world: World) -> None:
    api, base = world.server.api, f"/projects/{world.id}"
    assert "no hidden ground truth yet" in api("POST", f"{base}/score", json={}, status=422)["detail"]
    assert "no hidden" in api("DELETE", f"{base}/truth", status=404)["detail"]
    assert "which asset" in api("DELETE", f"{base}/truth?index=3", status=422)["detail"]
    assert "csv, json" in api("GET", f"{base}/scores/file?format=xls", status=422)["detail"]
    api("GET", f"/projects/{'f' * 24}/scores", status=404)
    empty = api("GET", f"{base}/scores")
    assert (empty["miou"], empty["classes"], empty["confusion"]["rows"]) == (None, [], [[0]])
