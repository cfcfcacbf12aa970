"""Mattes over HTTP: a soft disc with known alpha, from its regions through the real consumer to files and back."""

from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from app.cli import main
from app.errors import Cancelled, Refused
from app.models import new_id
from tasks import channel, matte
from tasks.channel import Channel
from tests import drawing
from tests.conftest import ROOT, Server

FRAMES, WIDTH, HEIGHT, FPS = 6, 192, 144, 12
RADIUS, SOFT = 34.0, 10.0
"""Of the disc, and over how many pixels its edge goes from one to zero."""
SQUARE = [[150, 100], [180, 100], [180, 130], [150, 130]]


def centre(index: int) -> tuple[float, float]:
    return 70.0 + 6 * index, 70.0


def exact(index: int) -> NDArray[np.float64]:
    """The alpha of the disc: (H, W), 0..1."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    cx, cy = centre(index)
    return np.clip((RADIUS - np.hypot(x - cx, y - cy)) / SOFT + 0.5, 0, 1)


def picture(index: int) -> NDArray[np.uint8]:
    """The disc, red, over a green and blue texture."""
    noise = np.random.default_rng(3).integers(0, 30, (HEIGHT, WIDTH, 3))
    behind = np.array([30, 120, 90]) + noise
    alpha = exact(index)[..., None]
    return (alpha * np.array([210, 60, 40]) + (1 - alpha) * behind).astype(np.uint8)


def drawn() -> bytes:
    """The frames of `picture` as MP4."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "8"}
        for index in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), "rgb24")))
        container.mux(stream.encode())
    return target.getvalue()


def ring(cx: float, cy: float, radius: float) -> list[list[float]]:
    turns = [2 * math.pi * step / 72 for step in range(72)]
    return [[cx + radius * math.cos(turn), cy + radius * math.sin(turn)] for turn in turns]


class Desk:
    """A video of the disc, which is a track with a region on every frame, beside a square on two frames."""

    def __init__(self, server: Server, disc: bytes) -> None:
        self.server = server
        names = ("floor", "disc", "object", "lid")
        classes = [
            {"id": id, "name": name, "colour": f"#{id:06x}", "priority": id}
            for id, name in enumerate(names, 1)
        ]
        template = server.api("POST", "/class-templates", json={"name": f"T{new_id()}", "classes": classes})
        body = {"name": "Mattes", "class_template_id": template["id"]}
        self.project = server.api("POST", "/projects", json=body)
        self.asset = server.asset(self.project, "disc.mp4", disc)["id"]
        self.track = new_id()
        for index in range(FRAMES):
            region = self.add(index, ring(*centre(index), RADIUS), class_id=2, track_id=self.track)
            if index not in (0, 4):
                server.api("PATCH", f"/regions/{region['id']}", json={"anchor": False})
        self.squares = [self.add(index, SQUARE, class_id=3)["id"] for index in (1, 2)]

    def add(self, index: int, outline: Sequence[Sequence[float]], **more: Any) -> dict[str, Any]:
        body = {"id": new_id(), "geometry": {"outline": [outline]}, **more}
        return self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)["region"]

    def on(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def frame(self, index: int) -> str:
        return f"{self.asset}-{index:06d}"

    def ask(self, path: str = "mattes", *, status: int | None = 202, **wanted: Any) -> dict[str, Any]:
        body = {
            "asset_id": self.asset,
            "targets": [{"name": "disc", "track_ids": [self.track]}],
            "engine": "matte-fast",
            **wanted,
        }
        body = {key: value for key, value in body.items() if value is not None}
        return self.server.api("POST", f"/projects/{self.project['id']}/{path}", json=body, status=status)

    def run(self, **wanted: Any) -> dict[str, Any]:
        return self.ended(self.ask(**wanted))

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        job = self.server.finished(job)
        assert job["state"] == "done", job["reason"]
        return {**job["result"], "job": job["id"]}

    def file(self, result: dict[str, Any], name: str) -> bytes:
        answer = self.server.http.get(f"/api/v1/jobs/{result['job']}/files/{name}")
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture(scope="module")
def desk(server: Server) -> Desk:
    return Desk(server, drawn())


def decoded(data: bytes) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """The frames of a video as grey levels, and their times."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = list(container.decode(video=0))
    levels = [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in frames]
    return levels, [float(frame.time) for frame in frames]


def off(levels: NDArray[np.uint8], index: int) -> float:
    """The mean absolute error of grey levels against the exact alpha of the disc."""
    return float(np.abs(levels / 255 - exact(index)).mean())


HARD = float(np.abs((exact(0) >= 0.5) - exact(0)).mean())
"""That of a mask."""


def test_two_targets_come_back_as_files_with_their_alpha_times_and_sidecar(desk: Desk) -> None:
    targets = [{"name": "Red disc", "track_ids": [desk.track]}, {"region_ids": desk.squares}]
    result = desk.run(targets=targets, outputs=["alpha-mp4", "foreground-mp4"], background="#FF00FF")
    assert [(file["name"], file["kind"], file["target"]) for file in result["files"]] == [
        ("disc_Red_disc_alpha.mp4", "alpha-mp4", "Red disc"),
        ("disc_Red_disc_foreground.mp4", "foreground-mp4", "Red disc"),
        ("disc_object_alpha.mp4", "alpha-mp4", "object"),
        ("disc_object_foreground.mp4", "foreground-mp4", "object"),
        ("disc_Red_disc.json", "sidecar", "Red disc"),
        ("disc_object.json", "sidecar", "object"),
    ]
    assert all(file["bytes"] == len(desk.file(result, file["name"])) for file in result["files"])
    assert [(one["name"], one["missing"], one["frames"]) for one in result["targets"]] == [
        ("Red disc", 0, FRAMES),
        ("object", 4, FRAMES),
    ]
    assert "object: 4 of 6 frames have no mask; their alpha is 0." in result["notes"]

    levels, times = decoded(desk.file(result, "disc_Red_disc_alpha.mp4"))
    assert times == pytest.approx([index / FPS for index in range(FRAMES)], abs=1e-6)
    assert max(off(grey, index) for index, grey in enumerate(levels)) < 0.4 * HARD
    levels, _ = decoded(desk.file(result, "disc_object_alpha.mp4"))
    assert [int(grey[115, 165]) > 200 for grey in levels] == [index in (1, 2) for index in range(FRAMES)]
    assert max(int(levels[index].max()) for index in (0, 3, 4, 5)) <= 1

    with av.open(io.BytesIO(desk.file(result, "disc_Red_disc_foreground.mp4")), "r") as container:
        rgb = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert rgb[5, 5] == pytest.approx([255, 0, 255], abs=4)
    assert rgb[70, 70] == pytest.approx([210, 60, 40], abs=6)

    sidecar = json.loads(desk.file(result, "disc_Red_disc.json"))
    assert (sidecar["target_ids"]["track_ids"], sidecar["background"]) == ([desk.track], "#ff00ff")
    assert (sidecar["engine"]["id"], sidecar["engine"]["licence"]) == ("matte-fast", result["licence"])
    assert sidecar["files"] == ["disc_Red_disc_alpha.mp4", "disc_Red_disc_foreground.mp4"]
    assert [frame["index"] for frame in sidecar["frames"]] == list(range(FRAMES))
    assert sidecar["frames"][3]["regions"][0]["certificate"]["exact"]
    # What the files were made of is not needed any more.
    assert not (desk.server.data / "jobs" / result["job"] / "alphas").exists()


def test_what_covers_a_target_is_not_cut_out_with_it(desk: Desk) -> None:
    lid = desk.add(5, [[100, 30], [140, 30], [140, 110], [100, 110]], class_id=4)
    result = desk.run(start=5, stop=5, outputs=["rgba-png"])
    desk.server.api("DELETE", f"/regions/{lid['id']}")
    with zipfile.ZipFile(io.BytesIO(desk.file(result, "disc_disc_rgba.zip"))) as archive:
        assert archive.namelist() == ["disc_disc_000005.png"]
        raw = np.frombuffer(archive.read("disc_disc_000005.png"), np.uint8)
    alpha = np.asarray(cv2.imdecode(raw, cv2.IMREAD_UNCHANGED))[..., 3]
    assert (alpha[70, 80], alpha[70, 125]) == (255, 0)


def test_frames_keep_their_own_times_and_their_sound(desk: Desk, tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.6, 0.9]
    drawing.with_sound(tmp_path / "beeps.mov", times, [0.2, 0.7], seconds=1.0)
    source = (tmp_path / "beeps.mov").read_bytes()
    project = desk.server.project("Beeps")
    asset = desk.server.asset(project, "beeps.mov", source)["id"]
    body = {"id": new_id(), "class_id": 2, "geometry": {"outline": [[[8, 8], [40, 8], [40, 40], [8, 40]]]}}
    desk.server.api("POST", f"/frames/{asset}-000002/regions", json=body)
    wanted: dict[str, Any] = {"asset_id": asset, "targets": [{"name": "it", "class_ids": [2]}], "start": 1}
    wanted |= {"engine": "matte-fast", "outputs": ["alpha-mp4", "foreground-mp4"]}
    result = desk.ended(desk.server.api("POST", f"/projects/{project['id']}/mattes", json=wanted))
    assert result["notes"] == ["it: 3 of 4 frames have no mask; their alpha is 0."]
    for suffix, beeps in (("alpha.mp4", False), ("foreground.mp4", True)):
        path = tmp_path / suffix
        path.write_bytes(desk.file(result, f"beeps_it_{suffix}"))
        with av.open(str(path)) as container:
            assert bool(container.streams.audio) == beeps
        assert decoded(path.read_bytes())[1] == pytest.approx([0.0, 0.4, 0.5, 0.8], abs=1e-6)
        if beeps:
            assert drawing.heard(path) == pytest.approx([0.1, 0.6], abs=0.02)


def test_steadied_alphas_are_as_good_and_their_flicker_is_told(desk: Desk) -> None:
    result = desk.run(parameters={"steady": True}, stop=3)
    levels, _ = decoded(desk.file(result, "disc_disc_alpha.mp4"))
    assert max(off(grey, index) for index, grey in enumerate(levels)) < 0.6 * HARD
    assert 0 <= result["targets"][0]["dtssd"] < 5


def test_cancelled_jobs_leave_no_file_and_only_the_newest_keep_their_alphas(desk: Desk) -> None:
    folders = []
    for _ in range(5):
        job_id = new_id()
        folder = desk.server.data / "jobs" / job_id
        channel.request_cancel(folder)
        job = desk.server.finished(desk.ask(id=job_id))
        assert (job["state"], (desk.server.data / "exports" / job_id).exists()) == ("cancelled", False)
        assert desk.ask(id=job_id)["state"] == "cancelled"  # asked again it is the same job
        (folder / "alphas").mkdir()
        folders.append(folder / "alphas")
    assert [folder.exists() for folder in folders] == [False, True, True, True, True]


KILLED = """
import json, os, signal, sys
from pathlib import Path
from tasks import matte
from tasks.channel import Channel

class Watched(Channel):
    def report(self, done, *more, **named):
        super().report(done, *more, **named)
        if done == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

with Watched(Path(sys.argv[1])) as channel:
    matte.run(channel, json.load(sys.stdin))
"""


class CancelledAt(Channel):
    """Is cancelled when so much is done."""

    at = 2 * FRAMES + 3

    def report(self, done: int, *more: Any, **named: Any) -> None:
        super().report(done, *more, **named)
        if done == self.at:
            channel.request_cancel(self.folder)


def test_what_is_killed_or_cancelled_goes_on_with_what_is_on_the_disk(desk: Desk, tmp_path: Path) -> None:
    wanted = {"outputs": ["alpha-mp4", "preview-mp4"], "parameters": {"steady": True}}
    whole = desk.run(**wanted)
    args = desk.server.api("GET", f"/jobs/{whole['job']}")["args"]
    folder, out = tmp_path / "job", tmp_path / "out"
    folder.mkdir()
    args["out_dir"] = str(out)

    command = [sys.executable, "-c", KILLED, str(folder), "3"]
    done = subprocess.run(command, input=json.dumps(args), text=True, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = alphas(folder)
    assert list(kept) == ["000000.png", "000001.png", "000002.png"]
    # A line that was not written to its end, and an alpha that is gone.
    with (folder / "partial.jsonl").open("ab") as file:
        file.write(b'{"index": 3, "se')
    (folder / "alphas" / "0" / "000001.png").unlink()
    with CancelledAt(folder) as cancelled, pytest.raises(Cancelled):
        matte.run(cancelled, args)
    assert cancelled.kept["frames"] == FRAMES
    after = alphas(folder)
    assert {name for name in kept if after[name] == kept[name]} == {"000000.png", "000002.png"}
    assert list(out.iterdir()) == []  # no file is half written
    # Where an engine of the worker made them, alphas that are gone are no frames without a mask.
    with Channel(tmp_path / "other") as other, pytest.raises(Refused, match="no longer there"):
        matte.run(other, {**args, "alphas": str(tmp_path)})
    channel.withdraw_cancel(folder)
    with Channel(folder) as again:
        result = matte.run(again, args)
    assert alphas(folder) == after
    assert (result["files"][:2], result["targets"]) == (whole["files"][:2], whole["targets"])
    for name in ("disc_disc_alpha.mp4", "disc_disc_preview.mp4", "disc_disc.json"):
        assert (out / name).read_bytes() == desk.file(whole, name)


def alphas(folder: Path) -> dict[str, int]:
    """The alphas in the folder of a job, and when they were made."""
    return {path.name: path.stat().st_mtime_ns for path in sorted((folder / "alphas" / "0").glob("*.png"))}


def test_a_preview_shows_alpha_colours_and_trimap_of_one_frame(desk: Desk) -> None:
    body: dict[str, Any] = {"target": {"track_ids": [desk.track]}, "engine": "matte-fast"}
    found = desk.server.api("POST", f"/frames/{desk.frame(2)}/matte-preview", json=body)
    assert (found["width"], found["height"], found["engine"]) == (WIDTH, HEIGHT, "matte-fast")
    alpha, rgba, trimap = (png(desk, found[name]) for name in ("alpha", "rgba", "trimap"))
    assert off(alpha, 2) < 0.4 * HARD
    assert (rgba[..., 3] == alpha).all()
    assert rgba[70, 82, :3].tolist() == pytest.approx([40, 60, 210], abs=12)  # cv2 reads BGR
    assert set(np.unique(trimap)) == {0, 128, 255}
    narrow = desk.server.api(
        "POST", f"/frames/{desk.frame(2)}/matte-preview", json={**body, "parameters": {"band": 4}}
    )
    assert (png(desk, narrow["trimap"]) == 128).sum() < 0.7 * (trimap == 128).sum()
    jobs = {path.name for path in (desk.server.data / "jobs").iterdir()}
    assert not jobs & {path.name for path in (desk.server.data / "cache" / "matte-previews").iterdir()}
    gone = f"/api/v1/matte-previews/{new_id()}/alpha.png"
    assert desk.server.http.get(gone).status_code == 404
    assert desk.server.http.get(found["alpha"].replace("alpha.png", "..%2Fother")).status_code == 404


def png(desk: Desk, url: str) -> NDArray[np.uint8]:
    answer = desk.server.http.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found, np.uint8)


def test_an_estimate_says_what_is_missing_and_what_suits(desk: Desk) -> None:
    targets = [{"name": "disc", "track_ids": [desk.track]}, {"class_ids": [3]}]
    found = desk.ask("mattes/estimate", status=200, targets=targets)
    assert (found["frames"], found["engine"], found["available"]) == (FRAMES, "matte-fast", True)
    assert found["targets"] == [
        {"name": "disc", "there": FRAMES, "missing": [], "anchors": [0, 4]},
        {"name": "object", "there": 2, "missing": [[0, 1], [3, 3]], "anchors": [1, 2]},
    ]
    assert "object has no mask on 4 of 6 frames; their alpha will be 0." in found["limits"]
    assert found["seconds"] > 0 < found["memory_mb"]
    assert found["recommended"] in ("matte-fine", "matte-fast")
    assert found["why"].endswith(".")
    best = desk.ask("mattes/estimate", status=200, engine=None)
    assert best["engine"] == best["recommended"]
    # What cannot run yet is estimated, with what is missing, its licence, and how it would cut the range.
    mama = desk.ask("mattes/estimate", status=200, engine="videomama", parameters={"chunk": 4, "overlap": 1})
    assert (mama["available"], mama["chunks"]) == (False, 2)
    assert mama["reason"]
    assert "CC BY-NC" in mama["weights_licence"]
    assert "6 frames are done in 2 chunks of 4, with an overlap of 1." in mama["limits"]


def test_the_engines_are_listed_with_what_they_need(desk: Desk) -> None:
    rows = {row["id"]: row for row in desk.server.api("GET", "/matte-engines")}
    assert list(rows) == ["matte-fast", "matte-fine", "matanyone", "videomama"]
    assert [row["needs"] for row in rows.values()] == ["every", "every", "first", "every"]
    assert [row["people"] for row in rows.values()] == [False, False, True, False]
    assert rows["matte-fast"]["parameters"] == ["band", "erode", "dilate", "steady"]
    assert "S-Lab" in rows["matanyone"]["licence"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"targets": []}, "Choose what to cut out"),
        ({"targets": [{}]}, "A target needs a track, a class or a region."),
        ({"targets": [{"class_ids": [9999]}]}, "The project has no class 9999."),
        ({"targets": [{"track_ids": ["a" * 24]}]}, "The project has no track aaaa"),
        ({"targets": [{"class_ids": [3]}], "start": 3}, "“object” has no region on the frames"),
        ({"engine": "magic"}, "There is no engine 'magic'"),
        ({"engine": "classic"}, "classic makes no mattes. Choose one of: matte-fast, matte-fine"),
        ({"engine": "videomama"}, "videomama"),
        ({"outputs": []}, "at least one output"),
        ({"outputs": ["gif"]}, "There is no output 'gif'. Outputs: alpha-mp4"),
        ({"background": "green"}, "'green' is no colour. Write it like #00ff00."),
        ({"parameters": {"band": 0.5}}, "Band width must lie between 1 and 200 px"),
        ({"parameters": {"overlap": 9}}, "Overlap may be half of a chunk at most"),
        ({"stop": FRAMES}, "between the frame indices 0 and 5"),
    ],
)
def test_what_cannot_be_is_refused_in_words(desk: Desk, wanted: dict[str, Any], words: str) -> None:
    assert words in desk.ask(status=422, **wanted)["detail"]


def test_a_text_is_no_target_and_a_region_that_is_gone_none_either(desk: Desk) -> None:
    assert "text" in desk.ask(status=400, targets=[{"text": "a cat"}])["detail"]
    assert "does not exist any more" in desk.ask(status=404, targets=[{"region_ids": [new_id()]}])["detail"]
    desk.ask(status=404, asset_id=new_id())
    body = {"target": {"class_ids": [3]}}
    refused = desk.server.api("POST", f"/frames/{desk.frame(4)}/matte-preview", json=body, status=422)
    assert "no region on the frames" in refused["detail"]


def command(desk: Desk, *args: str) -> Result:
    common = ["--server", desk.server.url, "matte", "--project", desk.project["id"]]
    return CliRunner().invoke(main, [*common, *args], env={"POINTILLIST_SERVER": ""})


def test_the_command_line_estimates_and_saves_the_files(desk: Desk, tmp_path: Path) -> None:
    said = command(desk, "--class", "object", "--engine", "matte-fast", "--estimate")
    assert said.exit_code == 0, said.output
    assert "6 frames with matte-fast, about " in said.stdout
    assert "Licence of matte-fast: Same as Pointillist." in said.stdout
    (disc,) = [region["id"] for region in desk.on(3) if region["class_id"] == 2]
    args = ("--region", disc, "--name", "it", "--range", "1:2", "--engine", "matte-fast", "--band", "8")
    done = command(desk, *args, "--output", "preview-mp4", "--out", str(tmp_path), "--json")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disc_it.json", "disc_it_preview.mp4"]
    assert json.loads((tmp_path / "disc_it.json").read_bytes())["parameters"]["band"] == 8
    for wrong, words in (
        (("--track", "nobody"), "The project has no track “nobody”."),
        (("--class", "object", "--range", "4:5"), "no region on the frames that were chosen"),
    ):
        refused = command(desk, *wrong)
        assert (refused.exit_code, words in refused.stderr) == (1, True), refused.output
    assert command(desk).exit_code == 2
