"""What a matte was made of, as a JSON file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from app.formats.matte_sidecar import Clock, Made, MatteFrame, Sidecar, Used, write_sidecar
from app.formats.video_out import timing
from app.matting import MatteParameters
from app.models import Certificate

TIMES = [0.0, 1001 / 24000, 4 * 1001 / 24000, 5 * 1001 / 24000]


def sidecar() -> Sidecar:
    return Sidecar(
        asset="clip.mp4",
        asset_id="a1",
        target="Dog",
        target_ids={"track_ids": ["t1"], "class_ids": []},
        width=129,
        height=97,
        clock=Clock.of(timing(TIMES, None)),
        engine=Made(
            name="VideoMaMa", id="videomama", licence="CC BY-NC 4.0", licence_url="https://example.org"
        ),
        weights=Made(name="model.safetensors", sha256="ab" * 32, licence="CC BY-NC 4.0"),
        parameters=MatteParameters(band=12),
        background="#00ff00",
        files=["clip_Dog_alpha.mp4"],
    )


def test_the_sidecar_says_what_a_matte_was_made_of(tmp_path: Path) -> None:
    clock = timing(TIMES, None)
    certificate = Certificate(engine="classic", iou=0.97, boundary_f=0.9)
    frames = [
        MatteFrame(
            index=5 + k, time=time, tick=clock.ticks[k], regions=[Used(id="r1", certificate=certificate)]
        )
        for k, time in enumerate(TIMES[:3])
    ]
    frames.append(MatteFrame(index=8, time=TIMES[3], tick=clock.ticks[3]))
    for name in ("a.json", "b.json"):
        write_sidecar(tmp_path / name, sidecar(), iter(frames))
    content = (tmp_path / "a.json").read_bytes()
    assert content == (tmp_path / "b.json").read_bytes()
    found = json.loads(content)
    assert list(found) == sorted(found)
    assert found["engine"]["licence"] == found["weights"]["licence"] == "CC BY-NC 4.0"
    assert found["weights"]["sha256"] == "ab" * 32
    assert found["parameters"]["band"] == 12
    assert found["versions"]["av"] == av.__version__
    assert [frame["tick"] / found["clock"]["scale"] for frame in found["frames"]] == pytest.approx(TIMES)
    assert found["frames"][0]["regions"][0]["certificate"]["iou"] == 0.97
    assert found["frames"][3] == {"index": 8, "regions": [], "tick": clock.ticks[3], "time": TIMES[3]}
    # One line a frame, so that two mattes can be compared line by line.
    assert sum(line.startswith(b'{"index"') for line in content.splitlines()) == 4


def test_a_sidecar_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def failing() -> Iterator[MatteFrame]:
        yield MatteFrame(index=0, time=None, tick=0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sidecar(tmp_path / "o.json", sidecar(), failing())
    assert list(tmp_path.iterdir()) == []
