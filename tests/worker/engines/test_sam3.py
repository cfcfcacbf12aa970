"""SAM 3 behind the production pipe: the real package in a spawned worker, on the CPU, at a tiny size.

Its weights are random. These tests prove plumbing (prompts in, masks out, files refused), never accuracy.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from app.algo.certificate import iou
from app.errors import NotFound, Refused, Unavailable
from app.models import Geometry, Point
from app.worker.protocol import (
    Accept,
    Exemplar,
    Forget,
    FrameRef,
    LoadEngine,
    Ping,
    Proposals,
    ProposedMask,
    RegionSpec,
    Render,
    UnloadEngine,
)
from tests.conftest import TinyWeights
from tests.worker.conftest import Bench, predict

MISSING = [
    name for name in ("torch", "torchvision", "sam3", "open_clip", "triton") if find_spec(name) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="the extra [sam3] is not installed")

CENTRE = Point(x=80.5, y=60.5)
CORNER = Point(x=20.5, y=100.5)
BACKGROUND = Point(x=8.5, y=8.5, label=0)
MIDDLE = (45.0, 25.0, 115.0, 95.0)
REAL = "POINTILLIST_SAM3_WEIGHTS"


@pytest.fixture(scope="module")
def bench(sam3_worker: Bench) -> Bench:
    return sam3_worker


def ask(bench: Bench, frame: FrameRef, *points: Point, **more: object) -> Proposals:
    geometry = Geometry(points=list(points), box=more.pop("box", None), text=more.pop("text", None))  # type: ignore[arg-type]
    return bench.client.request(predict(frame, geometry, engine="sam3", **more))


def masks(reply: Proposals) -> list[tuple[int, ...] | bytes]:
    return [part for one in reply.candidates for part in ((one.x, one.y, one.w, one.h), one.bits)]


def full(one: ProposedMask, shape: tuple[int, int]) -> np.ndarray:
    out = np.zeros(shape, bool)
    rows = np.frombuffer(one.bits, np.uint8).reshape(one.h, -1)
    out[one.y : one.y + one.h, one.x : one.x + one.w] = np.unpackbits(rows, axis=1, count=one.w)
    return out


def forget(bench: Bench) -> None:
    """Let the prepared frames go, and wait until that was done: clicks overtake it, loading does not."""
    bench.client.tell(Forget())
    bench.client.request(LoadEngine(engine="sam3"))


# Clicks and boxes


def test_one_click_offers_three_answers_and_the_best_first(bench: Bench, tiny_weights: TinyWeights) -> None:
    reply = ask(bench, bench.frame(), CENTRE)
    assert (reply.kind, reply.presence, len(reply.candidates)) == ("alternatives", None, 3)
    scores = [one.score for one in reply.candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < one.area < 160 * 120 for one in reply.candidates)
    assert len({one.bits for one in reply.candidates}) == 3
    assert reply.weights == hashlib.sha256(tiny_weights("sam3").read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("points", "box"),
    [([CENTRE, CORNER], None), ([CENTRE, BACKGROUND], None), ([], MIDDLE), ([CENTRE], MIDDLE)],
    ids=["two points", "point and negative", "box", "point in a box"],
)
def test_prompts_that_are_clear_have_one_answer(
    bench: Bench, points: list[Point], box: tuple[float, ...] | None
) -> None:
    assert len(ask(bench, bench.frame(), *points, box=box).candidates) == 1


def test_a_correction_starts_from_the_mask_that_it_corrects(bench: Bench) -> None:
    frame = bench.frame()
    answers = ask(bench, frame, CENTRE).candidates
    fresh = ask(bench, frame, CENTRE, BACKGROUND)
    corrected = [ask(bench, frame, CENTRE, BACKGROUND, previous=one.id) for one in answers]
    assert len({str(masks(reply)) for reply in (fresh, *corrected)}) == 4
    assert len(ask(bench, frame, CENTRE, previous=answers[1].id).candidates) == 1


def test_the_same_prompt_has_the_same_answer_after_everything_was_forgotten(bench: Bench) -> None:
    frame = bench.frame()
    asked = ({}, {"box": MIDDLE}, {"text": "disc"})
    before = [masks(ask(bench, frame, *([] if "text" in more else [CENTRE]), **more)) for more in asked]
    forget(bench)
    after = [masks(ask(bench, frame, *([] if "text" in more else [CENTRE]), **more)) for more in asked]
    assert before == after


def test_a_frame_is_encoded_once_for_many_clicks(bench: Bench) -> None:
    frame = bench.frame(1)
    ask(bench, frame, CENTRE)
    (bench.data / frame.path).unlink()
    for x in range(10, 150, 20):
        assert ask(bench, frame, Point(x=x, y=60)).candidates
    # Text needs more of the frame than clicks do.
    with pytest.raises(NotFound):
        ask(bench, frame, text="disc")


def test_a_frame_prepared_for_text_serves_clicks_and_other_texts(bench: Bench) -> None:
    frame = bench.frame(2)
    assert ask(bench, frame, text="disc").candidates
    (bench.data / frame.path).unlink()
    assert ask(bench, frame, text="a red car").candidates
    assert ask(bench, frame, CENTRE).candidates


def test_forgetting_the_frames_gives_their_memory_back(bench: Bench) -> None:
    ask(bench, bench.frame(), CENTRE)
    before = bench.client.request(Ping()).cache_bytes
    forget(bench)
    assert bench.client.request(Ping()).cache_bytes < before


# Text and exemplars


def test_text_finds_instances_with_their_scores_and_the_presence(bench: Bench) -> None:
    reply = ask(bench, bench.frame(), text="disc")
    assert reply.kind == "instances"
    assert reply.presence is not None
    assert 0.5 < reply.presence <= 1
    scores = [one.score for one in reply.candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0.5 < score <= reply.presence for score in scores)
    assert 1 <= len(scores) < 10
    assert masks(ask(bench, bench.frame(), text="a red car")) != masks(reply)
    # Where there are points, they decide.
    assert masks(ask(bench, bench.frame(), CENTRE, text="disc")) == masks(ask(bench, bench.frame(), CENTRE))


def test_exemplars_add_up_with_each_other_and_with_text(bench: Bench) -> None:
    frame = bench.frame()
    good = Exemplar(box=MIDDLE)
    bad = Exemplar(box=(0, 0, 30, 30), positive=False)
    asked = [
        ask(bench, frame, exemplars=[good]),
        ask(bench, frame, exemplars=[good, bad]),
        ask(bench, frame, exemplars=[good, Exemplar(box=bad.box)]),
        ask(bench, frame, text="disc", exemplars=[good]),
        ask(bench, frame, text="disc"),
    ]
    assert all(reply.kind == "instances" and reply.candidates for reply in asked)
    assert len({tuple(one.score for one in reply.candidates) for reply in asked}) == len(asked)


def test_an_instance_can_be_corrected_by_clicks(bench: Bench) -> None:
    found = ask(bench, bench.frame(), text="disc").candidates[0]
    corrected = ask(bench, bench.frame(), CENTRE, BACKGROUND, previous=found.id)
    assert masks(corrected) != masks(ask(bench, bench.frame(), CENTRE, BACKGROUND))


def test_text_is_refused_where_the_engine_has_no_words(bench: Bench) -> None:
    with pytest.raises(Refused, match="classic does not understand text"):
        bench.client.request(predict(bench.frame(), Geometry(text="disc"), engine="classic"))


# Regions


def test_an_accepted_mask_becomes_points_that_give_it_back(bench: Bench) -> None:
    frame = bench.frame()
    offered = ask(bench, frame, CENTRE)
    accepted = bench.client.request(
        Accept(
            frame=frame,
            geometry=Geometry(points=[CENTRE]),
            engine="sam3",
            proposal=offered.candidates[0].id,
        )
    )
    certificate = accepted.certificate
    assert (certificate.engine, certificate.weights) == ("sam3", offered.weights)
    assert certificate.iou >= 0.95
    assert accepted.geometry.points[0] == CENTRE
    assert not accepted.geometry.outline
    other = Geometry(points=[CORNER, BACKGROUND])
    regions = [
        RegionSpec(
            id=name * 24,
            class_id=1,
            priority=priority,
            order=0,
            geometry=geometry,
            engine="sam3",
            weights=offered.weights,
        )
        for name, priority, geometry in (("a", 1, accepted.geometry), ("b", 0, other))
    ]
    drawn = bench.client.request(Render(frame=frame, regions=regions, engine="sam3"))
    winners = np.frombuffer(drawn.body, np.uint8).reshape(frame.shape)
    assert iou(winners == 1, full(offered.candidates[0], frame.shape)) >= 0.95
    assert (winners == 2).any()


# Weights that cannot serve

Spoil = Callable[[dict[str, bytes]], None]


def _pickled(change: Callable[[bytes], bytes]) -> Spoil:
    """Change the part of a checkpoint that names its tensors."""

    def spoil(parts: dict[str, bytes]) -> None:
        name = next(name for name in parts if name.endswith("/data.pkl"))
        before, parts[name] = parts[name], change(parts[name])
        assert parts[name] != before

    return spoil


def _replaced(old: bytes, new: bytes) -> Spoil:
    assert len(old) == len(new)
    return _pickled(lambda data: data.replace(old, new))


def _without_a_tensor(parts: dict[str, bytes]) -> None:
    del parts[next(name for name in parts if name.endswith("/data/0"))]


BAD: dict[str, tuple[Spoil, str]] = {
    "a file of SAM 3.1": (
        _replaced(b"tracker.sam_prompt_encoder", b"tracker.model.interactive_"),
        r"a file of SAM 3\.1 \(multiplex\)",
    ),
    "renamed keys": (
        _replaced(b"sam_mask_decoder", b"the_mask_decoder"),
        r"weights are missing \(.*sam_mask_decoder.* …\), while \d+ others are unknown",
    ),
    "keys without their beginning": (
        _pickled(lambda data: data.replace(b"detector.", b"detektor.").replace(b"tracker.", b"trakker.")),
        r"none of its keys begins with detector\. or tracker\.",
    ),
    "other shapes": (
        _pickled(lambda data: re.sub(rb"(queries(?:q.|r....)?K)\n", rb"\g<1>\f", data, flags=re.DOTALL)),
        r"weights have another shape or type \(.*query_embed.weight is 10×32 float32, not 12×32 float32",
    ),
    "an impossible size": (
        _pickled(lambda data: re.sub(rb"(width(?:q.|r....)?K) ", rb"\g<1>!", data, flags=re.DOTALL)),
        "the architecture in it cannot be built",
    ),
    "Python objects": (
        _pickled(lambda data: pickle.dumps({"model": Path("x")}, protocol=2)),
        "other Python objects than tensors",
    ),
    "a lost tensor": (
        _without_a_tensor,
        "damaged",
    ),
}


@pytest.fixture
def weights(bench: Bench, tiny_weights: TinyWeights) -> Iterator[Callable[[bytes], None]]:
    """Puts other bytes in the place of the weights, until the test ends."""
    path = bench.data / "weights" / "sam3.pt"

    def put(content: bytes) -> None:
        path.unlink()
        path.write_bytes(content)
        bench.client.request(UnloadEngine(engine="sam3"))

    yield put
    path.unlink()
    path.symlink_to(tiny_weights("sam3"))
    bench.client.request(UnloadEngine(engine="sam3"))


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_sam3_is_refused_in_words_and_never_serves(
    bench: Bench, tiny_weights: TinyWeights, weights: Callable[[bytes], None], name: str
) -> None:
    spoil, words = BAD[name]
    with zipfile.ZipFile(tiny_weights("sam3")) as source:
        parts = {entry: source.read(entry) for entry in source.namelist()}
    spoil(parts)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for entry, content in parts.items():
            target.writestr(entry, content)
    weights(made.getvalue())
    with pytest.raises(Unavailable, match=words) as caught:
        bench.client.request(LoadEngine(engine="sam3"))
    assert str(bench.data / "weights" / "sam3.pt") in caught.value.sentence
    with pytest.raises(Unavailable, match=words):
        ask(bench, bench.frame(), CENTRE)
    assert "sam3" not in bench.client.request(Ping()).engines


def test_a_file_that_is_cut_off_or_no_checkpoint_is_refused_and_the_right_one_serves_at_once(
    bench: Bench, tiny_weights: TinyWeights, weights: Callable[[bytes], None]
) -> None:
    whole = tiny_weights("sam3").read_bytes()
    for content, words in (
        (whole[:-5000], "cut off"),
        (b"version 1\n" * 99, "no PyTorch|no file of weights"),
    ):
        weights(content)
        with pytest.raises(Unavailable, match=words):
            bench.client.request(LoadEngine(engine="sam3"))
    weights(whole)
    loaded = bench.client.request(LoadEngine(engine="sam3"))
    assert loaded.weights == hashlib.sha256(whole).hexdigest()[:16]
    assert loaded.bytes > 5e6


# With a GPU, and with the published weights


@pytest.mark.gpu
@pytest.mark.skipif(not Path("/proc/driver/nvidia").exists(), reason="needs a CUDA device")
def test_the_published_size_on_a_gpu(fresh: Callable[..., Bench], capsys: pytest.CaptureFixture[str]) -> None:
    """Random weights: prints the memory and how long encoding, clicks and text take."""
    made = fresh(cache_mb=1024)
    path = made.data / "weights" / "sam3.pt"
    path.parent.mkdir()
    save = "import sys; from app.bench.random_weights import save_sam3; save_sam3(sys.argv[1], None)"
    subprocess.run([sys.executable, "-c", save, str(path)], check=True)
    loaded = made.client.request(LoadEngine(engine="sam3"), 600)
    assert loaded.device == "cuda"
    frames = [made.frame(index, width=1920, height=1080) for index in range(3)]
    asked: list[tuple[str, dict[str, object]]] = [
        ("encode and click", {"points": [Point(x=960.5, y=540.5)]}),
        ("click", {"points": [Point(x=900.5, y=540.5)]}),
        ("box", {"box": (800.0, 400.0, 1100.0, 700.0)}),
        ("encode for text and ask", {"text": "disc"}),
        ("text", {"text": "a red car"}),
        ("the same text", {"text": "a red car"}),
    ]
    lines = [f"model {loaded.bytes / 2**20:.0f} MiB"]
    for frame in frames:
        for name, given in asked:
            reply = made.client.request(predict(frame, Geometry(**given), engine="sam3"))  # type: ignore[arg-type]
            lines.append(f"{frame.hash} {name}: {reply.ms:.0f} ms, {len(reply.candidates)} masks")
    kept = made.client.request(Ping())
    lines.append(f"caches {kept.cache_bytes / 2**20:.0f} MiB, free {kept.free_bytes / 2**30:.1f} GiB")
    with capsys.disabled():
        print("", *lines, sep="\n")


@pytest.mark.weights
@pytest.mark.skipif(not os.environ.get(REAL), reason=f"set {REAL} to the published sam3.pt")
def test_the_published_weights_see_the_disc(fresh: Callable[..., Bench]) -> None:
    made = fresh(timeout_s=600)
    path = made.data / "weights" / "sam3.pt"
    path.parent.mkdir()
    path.symlink_to(os.environ[REAL])
    frame = made.frame(width=640, height=480)
    rows, columns = np.ogrid[:480, :640]
    disc = (columns - 320) ** 2 + (rows - 240) ** 2 <= 120**2
    for given in (
        {"points": [Point(x=320.5, y=240.5)]},
        {"box": (195.0, 115.0, 446.0, 366.0)},
        {"text": "circle"},
    ):
        reply = made.client.request(predict(frame, Geometry(**given), engine="sam3"), 600)  # type: ignore[arg-type]
        assert max(iou(full(one, frame.shape), disc) for one in reply.candidates) > 0.9, given
    nothing = made.client.request(predict(frame, Geometry(text="elephant"), engine="sam3"), 600)
    assert (nothing.candidates, nothing.presence < 0.5) == ([], True)
