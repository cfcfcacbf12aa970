"""The command line against a real server, through the same options that a person types."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from app.cli import main
from app.cli_bench import flat, folders_of
from app.formats import label_png
from app.models import ClassDef
from app.supervisor import running
from tests import drawing
from tests.conftest import Server


def pointillist(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], env={"POINTILLIST_SERVER": ""})


def answer(*args: object) -> Any:
    """The JSON that a command prints; it must succeed."""
    result = pointillist(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> Path:
    path = tmp_path_factory.mktemp("source") / "one clip.mp4"
    path.write_bytes(clip)
    return path


CLICKS = [
    {"frame": 0, "class": 2, "points": [[48, 54, 1, 15]]},
    {"frame": 0, "class": 3, "points": [{"x": 120, "y": 72, "r": 8}, {"x": 5, "y": 5, "label": 0}]},
    {"frame": 4, "class": 2, "outline": [[[40, 40], [70, 40], [70.5, 70], [40, 70]]]},
]


@pytest.fixture(scope="module")
def labelled(server: Server, clip_file: Path) -> dict[str, Any]:
    """A project made, imported into and labelled by the command line alone."""
    made = answer("--server", server.url, "import", clip_file, "--project", "Labelled by commands")
    clicks = clip_file.with_name("clicks.json")
    clicks.write_text(json.dumps(CLICKS))
    found = answer("--server", server.url, "label", "--project", made["project"], "--clicks", clicks)
    return {**made, **found}


def classes_of(server: Server, project_id: str) -> list[ClassDef]:
    project = server.api("GET", f"/projects/{project_id}")["project"]
    template = server.api("GET", f"/class-templates/{project['class_template_id']}")
    return msgspec.convert(template["classes"], list[ClassDef])


def test_import_waits_for_the_frames(labelled: dict[str, Any]) -> None:
    assert labelled["frames"] == 6
    assert labelled["state"] == "ready"


def test_scripted_clicks_become_certified_regions(labelled: dict[str, Any]) -> None:
    assert [region["frame"][-6:] for region in labelled["regions"]] == ["000000", "000000", "000004"]
    assert all(region["iou"] >= 0.9 for region in labelled["regions"])
    assert labelled["regions"][2]["outline"]


def test_exported_label_maps_are_those_that_the_pages_show(
    server: Server, labelled: dict[str, Any], tmp_path: Path
) -> None:
    made = answer(
        "--server",
        server.url,
        "export",
        "--project",
        labelled["project"],
        "--format",
        "palette-png",
        "--out",
        tmp_path,
    )
    classes = classes_of(server, labelled["project"])
    with zipfile.ZipFile(made["files"][0]["path"]) as archive:
        for index in (0, 4):
            exported = archive.read(f"one_clip_{index:06d}.png")
            shown = server.http.get(
                f"/api/v1/frames/{labelled['asset']}-{index:06d}/label-map.png?mode=palette"
            )
            pixels = label_png.read_pixels(exported)
            assert (pixels == label_png.read_pixels(shown.content)).all()
            ids = label_png.decode(exported, classes, mode="palette", unlabelled=0)
            assert ({2, 3} if index == 0 else {2}) <= set(np.unique(ids))


def test_bundle_restores_with_byte_identical_exports(
    server: Server, labelled: dict[str, Any], tmp_path: Path
) -> None:
    def export(project: str, format: str, *more: object) -> dict[str, Any]:
        where = ["--server", server.url, "export", "--out", tmp_path / project]
        return answer(*where, "--project", project, "--format", format, *more)["files"][0]

    before = export(labelled["project"], "index-png")
    bundle = export(labelled["project"], "bundle", "--media")
    back = answer("--server", server.url, "import", bundle["path"])
    assert back["project"] != labelled["project"]
    assert export(back["project"], "index-png")["sha256"] == before["sha256"]


def test_without_a_server_a_command_starts_one_and_ends_it(
    server: Server, labelled: dict[str, Any], tmp_path: Path
) -> None:
    where = ["--server", server.url, "export", "--project", labelled["project"], "--out", tmp_path]
    bundle = answer(*where, "--format", "bundle", "--media")["files"][0]["path"]
    other = tmp_path / "other"
    assert answer("import", bundle, "--data", other)["frames"] == 6
    assert running(other) is None
    assert (other / "pointillist.duckdb").exists()


def test_running_server_of_the_data_folder_is_found(
    server: Server, labelled: dict[str, Any], tmp_path: Path
) -> None:
    result = pointillist(
        "--data",
        server.data,
        "export",
        "--project",
        labelled["project"],
        "--format",
        "bundle",
        "--out",
        tmp_path,
    )
    assert result.exit_code == 0, result.output
    text = (tmp_path / "Labelled_by_commands.jsonl").read_text()
    assert text.count('"type":"region"') == 3


def test_region_is_refined_by_its_id(server: Server, labelled: dict[str, Any], tmp_path: Path) -> None:
    clicks = tmp_path / "refine.json"
    region = labelled["regions"][1]["region"]
    clicks.write_text(json.dumps({"clicks": [{"frame": 0, "refine": region, "points": [[120, 72, 1, 10]]}]}))
    found = answer("--server", server.url, "label", "--project", labelled["project"], "--clicks", clicks)
    assert found["regions"][0]["region"] == region
    assert server.api("GET", f"/regions/{region}")["revision"] == 2


def test_wrong_click_is_named(server: Server, labelled: dict[str, Any], tmp_path: Path) -> None:
    clicks = tmp_path / "wrong.json"
    for row, sentence in (
        (
            {"frame": 0, "class": "unicorn", "points": [[1, 1]]},
            "Click 1: There is no class unicorn. There are:",
        ),
        ({"frame": 0, "class": 2, "points": [[999, 1]]}, "Click 1: Point 1 at (999, 1) lies outside"),
        ({"frame": 77, "class": 2, "points": [[1, 1]]}, "Click 1: "),
        ({"frame": 0, "class": 2, "point": []}, "unknown field `point`"),
    ):
        clicks.write_text(json.dumps([row]))
        result = pointillist(
            "--server", server.url, "label", "--project", labelled["project"], "--clicks", clicks
        )
        assert result.exit_code == 1
        assert sentence in result.stderr


def test_folder_of_images_is_imported_with_sampling(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(drawing.scene(index, 64, 48)[0]).save(folder / f"{index:03d}.png")
    (folder / "notes.txt").write_text("no image")
    made = answer("--server", server.url, "import", folder, "--every", "2", "--max-side", "32")
    assert made["frames"] == 2
    first = server.http.get(f"/api/v1/frames/{made['asset']}-000000/image")
    assert max(Image.open(io.BytesIO(first.content)).size) == 32


def test_refusals_of_the_server_are_its_sentences(server: Server, tmp_path: Path) -> None:
    bad = tmp_path / "words.mp4"
    bad.write_text("this is no video at all")
    result = pointillist("--server", server.url, "import", bad)
    assert result.exit_code == 1
    assert "text file, not a video" in result.stderr
    result = pointillist("--server", server.url, "export", "--project", "nobody", "--format", "bundle")
    assert result.exit_code == 1
    assert "There is no project “nobody”" in result.stderr


def test_damaged_bundle_is_refused_with_its_line(server: Server, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"type":"bundle","version":99}\n')
    projects = len(server.api("GET", "/projects"))
    result = pointillist("--server", server.url, "import", bad)
    assert result.exit_code == 1
    assert "Line 1 of the bundle has format version 99" in result.stderr
    assert len(server.api("GET", "/projects")) == projects


def test_unreachable_server_is_one_sentence(tmp_path: Path) -> None:
    for url, sentence in (("http://127.0.0.1:9", "does not answer"), ("nonsense", "server nonsense")):
        result = pointillist("--server", url, "export", "--project", "p", "--format", "bundle")
        assert result.exit_code == 1
        assert sentence in result.stderr
        assert "Traceback" not in result.output


def test_wrong_usage_has_status_2(tmp_path: Path) -> None:
    settings = tmp_path / "wrong.toml"
    settings.write_text("colour = 1\n")
    for args in (
        ["import", tmp_path / "absent.mp4"],
        ["import", tmp_path, "--fps", "5", "--every", "2"],
        ["export", "--project", "p", "--format", "gif"],
        ["--config", settings, "doctor"],
        ["bench", "unknown"],
    ):
        assert pointillist(*args).exit_code == 2, args


def test_serving_others_needs_a_token_and_says_how_to_make_one(tmp_path: Path) -> None:
    result = pointillist("--data", tmp_path, "serve", "--host", "0.0.0.0")
    assert result.exit_code == 1
    assert "POINTILLIST_TOKEN=" in result.stderr


def test_doctor_finds_this_installation_sound_and_an_unusable_data_folder(tmp_path: Path) -> None:
    found = {row["name"]: row for row in answer("doctor", "--data", tmp_path)}
    assert found["packages"]["ok"]
    assert found["engine classic"]["ok"]
    result = pointillist("doctor", "--data", "/proc/pointillist")
    assert result.exit_code == 1
    assert "Choose another with --data" in result.stdout


def test_bench_without_data_says_what_is_needed(tmp_path: Path) -> None:
    assert "give a folder with --data" in pointillist("bench", "clicks").stderr
    assert "holds no data set" in pointillist("bench", "roundtrip", "--data", tmp_path).stderr


def test_bench_finds_data_sets_below_a_folder(tmp_path: Path) -> None:
    for name in ("stills/one", "sequences/two", "other"):
        (tmp_path / name / "images").mkdir(parents=True)
    for name in ("stills/one", "sequences/two"):
        (tmp_path / name / "masks").mkdir()
    assert [path.name for path in folders_of(tmp_path)] == ["two", "one"]
    assert folders_of(tmp_path / "stills" / "one") == [tmp_path / "stills" / "one"]
    assert [path.name for path in folders_of(tmp_path, "stills")] == ["one"]
    assert [path.name for path in folders_of(tmp_path, "matting")] == ["two", "one"]
    assert flat({"a": {"b": 1}, "c": 2}) == [("a.b", 1), ("c", 2)]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, app.cli; heavy = {'numpy', 'cv2', 'duckdb', 'litestar', 'httpx', 'rich', 'av'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
