"""What SAM 3's engine leaves out of the package's own way must not change a bit of what comes out.

In this process, on the CPU, at a tiny size with random weights: plumbing, never accuracy.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from app.worker.engines import Ask, OutOfMemory, Prompt
from app.worker.weights import Found
from tests.conftest import TinyWeights
from tests.drawing import scene

pytestmark = [
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "torchvision", "sam3", "open_clip", "triton")),
        reason="the extra [sam3] is not installed",
    ),
    # The packages warn of their own old ways when they are imported.
    pytest.mark.filterwarnings("ignore"),
]

SHAPE = (120, 160)
IMAGE = scene(0, SHAPE[1], SHAPE[0])[0]
CLICK = ((48.0, 54.0, 1, 0),)


@pytest.fixture(scope="module")
def engine(tiny_weights: TinyWeights, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from app.worker.engines.sam3 import Sam3

    return Sam3(tmp_path_factory.mktemp("data"), Found(tiny_weights("sam3"), "0" * 64))


def prompt(
    *points: tuple[float, float, int, float],
    box: tuple[float, float, float, float] | None = None,
    text: str | None = None,
) -> Prompt:
    return Prompt(np.array(points, np.float64).reshape(-1, 4), box, text)


@pytest.mark.parametrize("tier", ["clicks", "text"])
def test_what_is_kept_of_a_frame_answers_as_the_whole_state_of_the_package(engine: Any, tier: str) -> None:
    import torch

    prepared = engine.prepare(IMAGE, tier)
    predictor = engine.model.inst_interactive_predictor
    half = 0.5 * SHAPE[1] / predictor.model.image_size, 0.5 * SHAPE[0] / predictor.model.image_size
    with engine.calling():
        whole = engine._encoder.processor.set_image(torch.from_numpy(IMAGE.transpose(2, 0, 1).copy()))
        masks, scores, logits = engine.model.predict_inst(
            whole,
            point_coords=np.array([[CLICK[0][0] - half[0], CLICK[0][1] - half[1]]]),
            point_labels=np.array([1]),
        )
    found = engine.segment(prepared, Ask(SHAPE, prompt(*CLICK))).candidates
    for one, k in zip(found, np.argsort(-scores, kind="stable"), strict=True):
        assert one.score == scores[k]
        assert (one.mask == (masks[k] > 0.5)).all()
        assert (one.memory[0] == logits[k].astype(np.float16)).all()
    whole_bytes = sum(
        one.numel() * one.element_size()
        for part in (whole["backbone_out"], whole["backbone_out"]["sam2_backbone_out"])
        for name in ("backbone_fpn", "vision_pos_enc")
        for one in part[name]
    )
    assert prepared.nbytes * (8 if tier == "clicks" else 2) < whole_bytes


def test_instances_are_those_of_the_package(engine: Any) -> None:
    import torch

    processor = engine._encoder.processor
    with engine.calling():
        state = processor.set_image(torch.from_numpy(IMAGE.transpose(2, 0, 1).copy()))
        state = processor.set_text_prompt("disc", state)
        state = processor.add_geometric_prompt([0.5, 0.5, 0.25, 0.5], True, state)
        state = processor.add_geometric_prompt([0.125, 0.125, 0.25, 0.25], False, state)
    wanted = sorted(
        zip(state["scores"].tolist(), state["masks"][:, 0].numpy(), strict=True), key=lambda w: -w[0]
    )
    exemplars = [(60.0, 30.0, 100.0, 90.0, True), (0.0, 0.0, 40.0, 30.0, False)]
    answer = engine.segment(
        engine.prepare(IMAGE, "text"), Ask(SHAPE, prompt(text="disc"), exemplars=exemplars)
    )
    assert wanted
    assert [one.score for one in answer.candidates] == [score for score, _ in wanted]
    for one, (_, mask) in zip(answer.candidates, wanted, strict=True):
        assert (one.mask == mask).all()


def test_small_holes_are_filled_as_by_the_package(engine: Any) -> None:
    import torch
    from sam3.model.utils.sam1_utils import SAM2Transforms

    from app.worker.engines.sam3.segment import HOLE_AREA, PUBLISHED_SIDE, HolesOnCpu

    side = engine.tracker.low_res_mask_size
    theirs = SAM2Transforms(engine.tracker.image_size, 0.0, HOLE_AREA * (side / PUBLISHED_SIDE) ** 2)
    ours = HolesOnCpu(engine.tracker.image_size, 0.0)
    logits = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)) + 1
    filled = ours.postprocess_masks(logits, SHAPE)
    assert (filled == theirs.postprocess_masks(logits, SHAPE)).all()
    plain = torch.nn.functional.interpolate(logits, SHAPE, mode="bilinear", align_corners=False)
    assert (filled > 0).sum() > (plain > 0).sum()
    assert isinstance(engine.model.inst_interactive_predictor._transforms, HolesOnCpu)


def test_regions_are_drawn_alike_alone_together_and_in_smaller_batches(engine: Any) -> None:
    prompts = [
        prompt(*CLICK),
        prompt((120, 70, 1, 0)),
        prompt(*CLICK, (120, 70, 0, 0)),
        prompt(box=(20, 20, 80, 90)),
        prompt((30, 30, 1, 0), (120, 70, 0, 0)),
        prompt(text="disc"),
        prompt(),
    ]
    prepared = engine.prepare(IMAGE, "text")

    def drawn(some: list[Prompt]) -> list[np.ndarray]:
        return [crop.full(SHAPE) for crop in engine.render(prepared, SHAPE, some)]

    together = drawn(prompts)
    alone = [drawn([one])[0] for one in prompts]
    shrunk = 0
    while engine.shrink():
        shrunk += 1
    small = drawn(prompts)
    assert shrunk > 1
    for a, b, c in zip(together, alone, small, strict=True):
        assert (a == b).all()
        assert (a == c).all()
    best = engine.segment(prepared, Ask(SHAPE, prompts[0])).candidates[0].mask
    assert (together[0] == best).all()
    instances = engine.segment(prepared, Ask(SHAPE, prompts[5])).candidates
    assert (together[5] == np.any([one.mask for one in instances], axis=0)).all()
    assert not together[6].any()


def test_too_little_memory_is_reported_as_the_worker_expects_it(engine: Any) -> None:
    import torch

    with pytest.raises(OutOfMemory), engine.calling():
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(OutOfMemory), engine.calling():
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="shape"), engine.calling():
        torch.zeros(2).reshape(3)
