"""The page that imports ground truth: where it is reached, what it starts from, and how masks are compared."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from app.algo.labels import encode_rle
from app.models import new_id
from tests.conftest import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
COMPARE = Path(__file__).resolve().parents[2] / "static" / "pages" / "compare.js"


def seen(server: Server, path: str, status: int = 200) -> str:
    answer = server.http.get(path, headers=BROWSER)
    assert answer.status_code == status, answer.text
    return answer.text


def island(text: str) -> dict:
    found = re.search(r'id="import-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_workspace_and_library_lead_to_the_import_of_ground_truth_and_back(
    server: Server, clip: bytes
) -> None:
    project = server.project("Leads there")
    asset = server.asset(project, "disc.mp4", clip)
    here = f"/projects/{project['id']}/import"
    assert f'href="{here}?asset={asset["id"]}"' in seen(server, f"/workspace/{project['id']}")
    assert f'href="{here}"' in seen(server, "/library/_cards")
    assert f'href="{here}"' in seen(server, f"/library/_project/{project['id']}")
    chosen = seen(server, f"{here}?asset={asset['id']}")
    assert f'<option value="{asset["id"]}" selected>' in chosen
    assert f'href="/workspace/{project["id"]}?asset={asset["id"]}"' in chosen
    every = seen(server, f"{here}?asset={new_id()}")
    assert " selected>" not in every


def test_the_page_names_the_classes_of_the_template_and_escapes_them(server: Server, clip: bytes) -> None:
    name = '</script><script>alert(1)</script>"'
    template = server.api(
        "POST",
        "/class-templates",
        json={"name": "<b>Rules", "classes": [{"id": 7, "name": name, "colour": "#aabbcc"}]},
    )
    project = server.api("POST", "/projects", json={"name": "<i>P", "class_template_id": template["id"]})
    server.asset(project, "disc.mp4", clip)
    text = seen(server, f"/projects/{project['id']}/import")
    assert "<script>alert(1)" not in text
    assert "<b>Rules" not in text
    assert html.escape("<i>P") in text
    assert island(text)["classes"] == [{"id": 7, "name": name, "colour": "#aabbcc"}]


def test_without_frames_the_page_says_what_comes_first(server: Server) -> None:
    project = server.project("No frames")
    assert "No frames yet" in seen(server, f"/projects/{project['id']}/import")


@pytest.mark.parametrize("project", ["zz", "0" * 24])
def test_an_unknown_project_has_no_import(server: Server, project: str) -> None:
    seen(server, f"/projects/{project}/import", 404)


def in_node(script: str, told: object) -> dict:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    head = f"""
        import {{ countDifference, cropOf, decodeRle, seenMask }} from {str(COMPARE)!r};
        const told = JSON.parse(await new Response(process.stdin).text());
    """
    done = subprocess.run(
        [node, "--input-type=module", "-e", head + script],
        input=json.dumps(told).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_browser_reads_run_lengths_as_they_were_written() -> None:
    random = np.random.default_rng(5)
    masks = [random.random((h, w)) < share for h, w, share in ((1, 1, 1), (7, 5, 0.5), (40, 31, 0.02))]
    masks += [np.zeros((3, 4), bool), np.ones((200, 300), bool)]
    rings = np.zeros((120, 90), bool)
    rings[10:100, 10:80] = True
    rings[30:60, 30:60] = False
    masks.append(rings)
    read = in_node(
        "console.log(JSON.stringify({ read: told.map((rle) => [...decodeRle(rle).bits]) }))",
        [encode_rle(mask) for mask in masks],
    )["read"]
    assert [np.array(bits, bool).tolist() for bits in read] == [mask.ravel().tolist() for mask in masks]


@pytest.mark.parametrize("counts", ["a", [5, 1], [-1, 13], "~~~~~~~~~~"])
def test_damaged_run_lengths_are_refused_in_the_browser(counts: object) -> None:
    script = """
        let said = '';
        try { decodeRle(told); } catch (error) { said = error.message; }
        console.log(JSON.stringify({ said }));
    """
    assert "mask is" in in_node(script, {"size": [3, 4], "counts": counts})["said"]


def test_missed_spilled_and_taken_pixels_are_counted_and_the_crop_holds_both_masks() -> None:
    original, region = np.zeros((2, 60, 100), np.uint8)
    original[10:20, 10:30] = 1
    region[10:20, 15:35] = 1
    owners = np.where(original, 2, 0)
    owners[region == 1] = 1
    script = """
        const map = { ids: told.owners, regions: [{ id: 'mine' }, { id: 'other' }] };
        const seen = seenMask(map, 'mine');
        console.log(JSON.stringify({ found: countDifference(told.original, seen, map.ids),
          crop: cropOf(100, 60, told.original, seen), none: cropOf(100, 60, seenMask(map, 'gone')) }));
    """
    answer = in_node(script, {"owners": owners.ravel().tolist(), "original": original.ravel().tolist()})
    expected = {"original": 200, "region": 200, "missed": 50, "spilled": 50, "taken": 50, "iou": 0.6}
    assert answer["found"] == expected
    crop = answer["crop"]
    assert crop["x"] <= 10
    assert crop["x"] + crop["w"] >= 35
    assert crop["y"] <= 10
    assert crop["y"] + crop["h"] >= 20
    assert crop["w"] < 100
    assert answer["none"] == {"x": 0, "y": 0, "w": 100, "h": 60}
