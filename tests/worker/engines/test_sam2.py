"""SAM 2.1 with a tiny random model: through a spawned worker, and beside what the package itself computes.

Random weights prove plumbing, never accuracy; the tests marked `weights` ask a real model.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.errors import Unavailable
from app.models import Certificate, Geometry, Point
from app.worker.engines import Anchor, Ask, Plan, Prompt, Seen
from app.worker.protocol import Accept, LoadEngine, Ping, Render, Track, UnloadEngine
from app.worker.weights import Found
from tests.conftest import TinyWeights
from tests.worker.conftest import Bench, click, predict
from tests.worker.test_streams import anchor, square

SHAPE = (96, 128)
FEATURES = 131_072
"""Bytes of the tiny model's maps of a frame."""
REAL = "POINTILLIST_SAM2_WEIGHTS"


def picture(index: int = 0) -> np.ndarray:
    """A light disc that moves to the right, on a dark floor."""
    image = np.full((*SHAPE, 3), (40, 70, 40), np.uint8)
    cv2.circle(image, (30 + 2 * index, 48), 18, (230, 200, 60), -1)
    return image


def disc(index: int = 0) -> np.ndarray:
    return picture(index)[:, :, 0] > 100


def prompt(*points: tuple[float, float, int], box: tuple[float, float, float, float] | None = None) -> Prompt:
    rows = [(x, y, label, 0.0) for x, y, label in points]
    return Prompt(np.array(rows, np.float64).reshape(-1, 4), box)


pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "transformers")),
    reason="the extra [sam2] is not installed",
)

# Through the worker


@pytest.fixture(scope="module")
def served(sam2_worker: Bench) -> Bench:
    sam2_worker.client.request(LoadEngine(engine="sam2"), timeout=300)
    return sam2_worker


def bits(reply: Any) -> list[tuple[int, int, bytes]]:
    return [(one.x, one.y, one.bits) for one in reply.candidates]


def test_a_click_has_three_answers_best_first_and_more_prompts_one(served: Bench) -> None:
    frame = served.frame()
    found = served.client.request(predict(frame, click(80, 60), engine="sam2"))
    assert found.kind == "alternatives"
    assert len(set(bits(found))) == 3
    scores = [one.score for one in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < one.area < 120 * 160 for one in found.candidates)

    more = Geometry(points=[Point(x=80, y=60, label=1, r=0), Point(x=20, y=20, label=0, r=0)])
    fresh = served.client.request(predict(frame, more, engine="sam2"))
    refined = served.client.request(predict(frame, more, engine="sam2", previous=found.candidates[0].id))
    boxed = served.client.request(predict(frame, Geometry(points=[], box=(40, 20, 120, 100)), engine="sam2"))
    assert [len(one.candidates) for one in (fresh, refined, boxed)] == [1, 1, 1]
    assert len({bits(one)[0] for one in (fresh, refined, boxed)}) == 3


def test_a_frame_is_encoded_once_for_all_clicks_and_answers_stay_the_same(served: Bench) -> None:
    frame = served.frame(50)
    served.client.request(predict(frame, click(70, 60), engine="sam2"))
    before = served.client.request(Ping()).cache_bytes
    answers = [served.client.request(predict(frame, click(90, 40), engine="sam2")) for _ in range(3)]
    assert served.client.request(Ping()).cache_bytes - before < FEATURES
    assert bits(answers[0]) == bits(answers[1]) == bits(answers[2])
    served.client.request(UnloadEngine(engine="sam2"))
    assert "sam2" not in served.client.request(Ping()).engines
    again = served.client.request(predict(frame, click(90, 40), engine="sam2"))
    assert (bits(again), again.weights) == (bits(answers[0]), answers[0].weights)


def test_an_accepted_mask_names_engine_and_weights_and_is_drawn_again(served: Bench) -> None:
    frame = served.frame()
    found = served.client.request(predict(frame, click(80, 60), engine="sam2"))
    accepted = served.client.request(
        Accept(frame=frame, geometry=click(80, 60), engine="sam2", proposal=found.candidates[0].id)
    )
    certificate: Certificate = accepted.certificate
    assert (certificate.engine, certificate.weights) == ("sam2", found.weights)
    assert len(found.weights) == 16
    region = anchor(0, 1, accepted.geometry).region
    region.engine, region.weights = ("", "") if certificate.exact else ("sam2", found.weights)
    drawn = served.client.request(Render(frame=frame, regions=[region], engine="sam2"))
    assert (drawn.areas, drawn.substituted) == ([accepted.area], "")


def tracked(bench: Bench, numbers: dict[int, int], start: int, stop: int) -> list[Any]:
    """Replies of a track whose objects have their anchors at these positions."""
    message = Track(
        frames=[bench.frame(i) for i in range(6)],
        anchors=[anchor(at, number, square(10 * number, 30, 40)) for number, at in numbers.items()],
        start=start,
        stop=stop,
        engine="sam2",
    )
    return list(bench.client.stream(message))


def test_tracks_run_both_ways_and_objects_may_begin_later(served: Bench) -> None:
    replies = tracked(served, {1: 0, 5: 2}, 0, 4)
    assert [reply.position for reply in replies] == [0, 1, 2, 3, 4]
    assert [[one.object for one in reply.objects] for reply in replies] == [[1], [1], [1, 5], [1, 5], [1, 5]]
    first, later = replies[0].objects[0], replies[4].objects[0]
    assert (first.area, first.certificate.exact) == (1600, True)
    assert later.geometry is not None
    assert later.geometry != first.geometry
    alone = tracked(served, {1: 0}, 0, 4)
    assert [one.objects[0].geometry for one in alone] == [one.objects[0].geometry for one in replies]
    back = tracked(served, {1: 4}, 4, 1)
    assert [reply.position for reply in back] == [4, 3, 2, 1]
    assert back[0].objects[0].geometry == first.geometry


def test_a_closed_track_leaves_the_engine_to_others(served: Bench) -> None:
    message = Track(
        frames=[served.frame(i % 6) for i in range(400)],
        anchors=[anchor(0, 1, square(10, 30, 40))],
        start=0,
        stop=399,
        engine="sam2",
    )
    with served.client.stream(message) as stream:
        replies = iter(stream)
        assert [next(replies).position, next(replies).position] == [0, 1]
        assert served.client.request(predict(served.frame(), click(80, 60), engine="sam2")).candidates
    assert served.client.request(Ping()).queued == 0


# Beside the package


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, tiny_weights: TinyWeights) -> Any:
    """In float32 on the processor, also where there is a GPU: what it computes is compared bit by bit."""
    import torch

    from app.worker.engines.sam2 import Sam2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        return Sam2(tmp_path_factory.mktemp("data"), Found(tiny_weights("sam2")))


@pytest.fixture(scope="module")
def features(engine: Any) -> Callable[[int], Any]:
    return cache(lambda at: engine.prepare(picture(at), "clicks"))


def plan_of(
    features: Callable[[int], Any],
    count: int,
    start: int,
    stop: int,
    anchors: Sequence[Anchor],
    more: Callable[[], Sequence[Anchor]] = tuple,
) -> Plan:
    return Plan(
        count=count,
        shape=SHAPE,
        start=start,
        stop=stop,
        anchors=anchors,
        prepared=lambda at, _: features(at),
        image=picture,
        more=more,
    )


def walked(engine: Any, plan: Plan) -> dict[int, dict[int, Seen]]:
    """Position → object → what was seen."""
    steps = [step for step in engine.track(plan) if step is not None]
    return {at: {one.object: one for one in seen} for at, seen in steps}


def test_images_are_prepared_as_the_package_prepares_them(engine: Any) -> None:
    pytest.importorskip("torchvision")
    from transformers.models.sam2.image_processing_sam2 import Sam2ImageProcessor

    noise = np.random.default_rng(0).integers(0, 256, (201, 333, 3), np.uint8)
    side = engine.model.image_size
    wanted = Sam2ImageProcessor(size={"height": side, "width": side})(noise, return_tensors="pt")
    assert (engine.encoder.pixels(noise) - wanted["pixel_values"]).abs().max() < 1e-5


def test_what_is_kept_of_a_frame_is_what_is_said(engine: Any, features: Callable[[int], Any]) -> None:
    found = features(0)
    assert found.nbytes == FEATURES == sum(one.untyped_storage().nbytes() for one in found.maps)


def test_masks_are_those_of_the_package_s_image_model(
    engine: Any, features: Callable[[int], Any], tiny_weights: TinyWeights
) -> None:
    import torch
    from transformers.models.sam2.modeling_sam2 import Sam2Model

    model: Any = Sam2Model(engine.model.config).eval()
    for part in ("vision_encoder", "prompt_encoder", "mask_decoder", "shared_image_embedding"):
        setattr(model, part, getattr(engine.model, part))
    model.no_memory_embedding = engine.model.no_memory_embedding
    scale = np.array([128 / SHAPE[1], 128 / SHAPE[0]])
    points = torch.tensor(np.array([[30, 48], [90, 20]]) * scale - 0.5, dtype=torch.float32)[None, None]
    with torch.inference_mode():
        wanted = model(
            pixel_values=engine.encoder.pixels(picture()),
            input_points=points,
            input_labels=torch.tensor([[[1, 0]]]),
            input_boxes=torch.tensor(
                np.array([[5, 20, 60, 70]]) * np.tile(scale, 2) - 0.5, dtype=torch.float32
            )[None],
            multimask_output=False,
        )
    asked = prompt((30, 48, 1), (90, 20, 0), box=(5, 20, 60, 70))
    (found,) = engine.segment(features(0), Ask(SHAPE, asked)).candidates
    assert (found.memory == wanted.pred_masks[0, 0, 0].clamp(-32, 32).half().numpy()).mean() > 0.99
    assert found.score == pytest.approx(float(wanted.iou_scores[0, 0, 0]), abs=1e-5)


def test_prompts_drawn_together_are_those_drawn_alone(engine: Any, features: Callable[[int], Any]) -> None:
    prompts = [
        prompt((30, 48, 1)),
        prompt((90, 20, 1)),
        prompt((30, 48, 1), (60, 20, 0)),
        prompt(box=(10, 10, 60, 80)),
        prompt((90, 20, 1), (30, 48, 0)),
        prompt(),
        prompt(box=(50, 10, 120, 80)),
    ]
    together = [crop.full(SHAPE) for crop in engine.render(features(0), SHAPE, prompts)]
    alone = [engine.render(features(0), SHAPE, [one])[0].full(SHAPE) for one in prompts]
    assert all((one == other).mean() > 0.999 for one, other in zip(together, alone, strict=True))
    assert not together[5].any()
    best = engine.segment(features(0), Ask(SHAPE, prompts[0])).candidates[0]
    assert (best.mask == alone[0]).all()


@pytest.mark.parametrize("start", [0, 39])
def test_a_walk_that_forgets_sees_what_the_package_sees_with_the_whole_video(
    engine: Any, features: Callable[[int], Any], start: int
) -> None:
    import torch
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    count, stop = 40, 39 - start
    video = torch.cat([engine.encoder.pixels(picture(at)) for at in range(count)])
    session = Sam2VideoInferenceSession(video=video, dtype=torch.float32)  # pyright: ignore[reportArgumentType]
    mask = torch.from_numpy(disc(start))[None, None].float()
    small = torch.nn.functional.interpolate(mask, (128, 128), mode="bilinear", antialias=True) >= 0.5
    session.add_mask_inputs(session.obj_id_to_idx(1), start, small.float())
    session.obj_with_new_inputs = [1]
    wanted: dict[int, np.ndarray] = {}
    with torch.inference_mode():
        engine.model(session, frame_idx=start)
        for found in engine.model.propagate_in_video_iterator(session, start, reverse=stop < start):
            large = torch.nn.functional.interpolate(found.pred_masks, SHAPE, mode="bilinear")
            wanted[found.frame_idx] = (large[0, 0] > 0).numpy()
    seen = walked(engine, plan_of(features, count, start, stop, [Anchor(start, 1, disc(start))]))
    assert list(seen) == list(wanted)
    assert (seen[start][1].mask == disc(start)).all()
    assert all((seen[at][1].mask == wanted[at]).all() for at in range(count) if at != start)
    assert len({seen[at][1].mask.tobytes() for at in range(count)}) > 10


def test_what_a_walk_remembers_does_not_grow(engine: Any, features: Callable[[int], Any]) -> None:
    from app.worker.engines.sam2.tracking import Followed

    count = 100
    plan = plan_of(lambda at: features(at % 8), count, 0, count - 1, [])
    followed = Followed(engine, plan, 0)
    held = []
    for at in range(count):
        # Confirmed again and again, as a careful person does.
        if at % 4 == 0:
            followed.add(Anchor(at, 1, disc(at % 8)), at)
        list(followed.remember(at))
        followed.step(at)
        held.append(followed.nbytes)
    assert max(held[60:]) == max(held[30:60])


def test_a_correction_counts_as_a_walk_anew_from_all_anchors(
    engine: Any, features: Callable[[int], Any]
) -> None:
    first, corrected, other = (
        Anchor(0, 1, disc(0)),
        Anchor(3, 1, ~disc(3)),
        Anchor(6, 2, disc(20), class_id=4),
    )
    calls = iter(range(100))
    plan = plan_of(features, 12, 0, 11, [first], lambda: [corrected, other] if next(calls) == 6 else [])
    seen = walked(engine, plan)
    before = walked(engine, plan_of(features, 12, 0, 5, [first]))
    after = walked(engine, plan_of(features, 12, 6, 11, [first, corrected]))
    assert [list(seen[at]) for at in range(12)] == [[1]] * 6 + [[1, 2]] * 6
    assert all((seen[at][1].mask == before[at][1].mask).all() for at in range(6))
    assert all((seen[at][1].mask == after[at][1].mask).all() for at in range(6, 12))
    assert (seen[6][2].mask == other.mask).all()
    assert seen[11][2].class_id == 4


def test_an_object_that_is_nowhere_has_no_mask(engine: Any, features: Callable[[int], Any]) -> None:
    bias = engine.model.mask_decoder.pred_obj_score_head.proj_out.bias
    bias -= 100
    try:
        seen = walked(engine, plan_of(features, 3, 0, 2, [Anchor(0, 1, disc(0))]))
    finally:
        bias += 100
    assert [seen[at][1].mask is None for at in range(3)] == [False, True, True]
    assert seen[2][1].score < 0.01


# Folders that are refused


def without(*keys: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        save_file(
            {key: value for key, value in tensors.items() if key not in keys}, folder / "model.safetensors"
        )

    return change


def with_tensor(key: str, *shape: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        save_file({**tensors, key: torch.zeros(shape)}, folder / "model.safetensors")

    return change


def with_config(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("no_memory_embedding"), "1 of 307 weights are missing (no_memory_embedding)"),
        (with_tensor("detector_model.weight", 2), "1 weights that are none of this model (detector_model.w"),
        (with_tensor("no_memory_embedding", 1, 1, 7), "no_memory_embedding is 1×1×7 float32, not 1×1×128"),
        (with_config(model_type="sam3_video"), "that of another model ('sam3_video'); sam2_video is needed"),
        (with_config(model_type="sam2"), "the part for images alone"),
        (with_config(vision_config={"model_type": "timm_wrapper"}), "vision_config in its config.json is of"),
        (with_config(image_size=10**9), "asks for images of 1000000000 pixels"),
        (with_config(memory_encoder_hidden_size=10**7), "have another shape"),
        (with_config(memory_encoder_hidden_size="many"), "values that this model does not take"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (cut_off, "damaged or cut off"),
        (pickled, "it needs model.safetensors; files in other formats are not opened"),
    ],
)
def test_folders_that_cannot_serve_are_refused_in_words(
    tmp_path: Path, tiny_weights: TinyWeights, change: Callable[[Path], object], words: str
) -> None:
    from app.worker.engines.sam2 import Sam2

    folder = tmp_path / "sam2"
    shutil.copytree(tiny_weights("sam2"), folder)
    change(folder)
    with pytest.raises(Unavailable) as caught:
        Sam2(tmp_path, Found(folder, "0" * 64))
    assert words in caught.value.sentence
    assert str(folder) in caught.value.sentence


def test_a_matrix_that_a_folder_keeps_once_serves_both_places(
    engine: Any, features: Callable[[int], Any], tmp_path: Path, tiny_weights: TinyWeights
) -> None:
    from app.worker.engines.sam2 import Sam2

    folder = tmp_path / "sam2"
    shutil.copytree(tiny_weights("sam2"), folder)
    without("prompt_encoder.shared_embedding.positional_embedding")(folder)
    other = Sam2(tmp_path, Found(folder, "0" * 64)).model
    assert (other.prompt_encoder.shared_embedding.positional_embedding != 0).any()
    same = other.shared_image_embedding.positional_embedding
    assert (other.prompt_encoder.shared_embedding.positional_embedding == same).all()


def test_without_weights_the_place_for_them_is_named(tmp_path: Path) -> None:
    from app.worker.engines.sam2 import Sam2

    with pytest.raises(Unavailable, match=r"Put config\.json and model\.safetensors into"):
        Sam2(tmp_path, None)


# Where there is more: a GPU, a real model


@pytest.mark.gpu
def test_a_gpu_sees_nearly_what_the_processor_sees(
    engine: Any, tmp_path: Path, tiny_weights: TinyWeights
) -> None:
    import torch

    from app.worker.engines.sam2 import Sam2

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    fast = Sam2(tmp_path, Found(tiny_weights("sam2")))
    pair = (fast, engine)
    made = [[one.prepare(picture(at), "clicks") for at in range(6)] for one in pair]
    assert (fast.device, made[0][0].maps[0].dtype) == ("cuda", torch.bfloat16)
    assert made[0][0].nbytes * 2 == made[1][0].nbytes
    asked = Ask(SHAPE, prompt((30, 48, 1), (90, 20, 0)))
    masks = [one.segment(made[k][0], asked).candidates[0].mask for k, one in enumerate(pair)]
    assert (masks[0] == masks[1]).mean() > 0.95
    tracks = [
        walked(one, plan_of(made[k].__getitem__, 6, 0, 5, [Anchor(0, 1, disc(0))]))
        for k, one in enumerate(pair)
    ]
    assert all((tracks[0][at][1].mask == tracks[1][at][1].mask).mean() > 0.95 for at in range(6))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not os.environ.get(REAL):
        pytest.skip(f"set {REAL} to a folder with SAM 2.1 weights")
    from app.worker.engines.sam2 import Sam2

    return Sam2(tmp_path_factory.mktemp("data"), Found(Path(os.environ[REAL])))


def overlap(mask: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    return np.count_nonzero(mask & other) / np.count_nonzero(mask | other)


@pytest.mark.weights
def test_a_real_model_finds_the_disc_under_a_click_and_follows_it(real: Any) -> None:
    prepared = cache(lambda at: real.prepare(picture(at), "clicks"))
    found = real.segment(prepared(0), Ask(SHAPE, prompt((30, 48, 1)))).candidates
    assert max(overlap(one.mask, disc(0)) for one in found) > 0.9
    boxed = real.segment(prepared(0), Ask(SHAPE, prompt(box=(11, 29, 49, 67)))).candidates[0]
    assert overlap(boxed.mask, disc(0)) > 0.9
    seen = walked(real, plan_of(prepared, 8, 0, 7, [Anchor(0, 1, disc(0))]))
    assert all(overlap(seen[at][1].mask, disc(at)) > 0.85 for at in range(8))
