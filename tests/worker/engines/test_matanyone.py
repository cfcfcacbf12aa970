"""What is asked of MatAnyone's package, which is never part of this project: against one that stands for it and
checks every call, and at a tiny size against the real one where it is installed.

Neither has learned weights. These tests prove plumbing (order of calls, ranges of numbers, memory), never accuracy.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import Refused, Unavailable
from app.matting import MatteParameters
from app.worker.engines import Anchor, Plan
from app.worker.weights import Found
from tests.drawing import scene

pytestmark = [
    pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed"),
    # Packages warn of their own old ways when they are imported.
    pytest.mark.filterwarnings("ignore"),
]

STAND_IN = Path(__file__).resolve().parents[2] / "tiny" / "matanyone_package"
THEIRS = ("matanyone2", "matanyone", "omegaconf")
SHAPE = (96, 120)
TINY = {
    "pixel_encoder": {"type": "resnet18", "ms_dims": [256, 128, 64, 64, 3]},
    "mask_encoder": {"final_dim": 256},
    "object_transformer": {"num_blocks": 1, "num_heads": 4, "ff_dim": 64},
    "mask_decoder": {"up_dims": [32, 32, 16, 16, 8]},
    "key_dim": 16,
    **{f"{name}_dim": 32 for name in ("pixel", "value", "sensory", "embed")},
}
"""What the real network has otherwise: 5.9 million numbers instead of 35."""


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in THEIRS]:
        del sys.modules[name]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the core that stands for the package's."""
    _forget()
    monkeypatch.syspath_prepend(str(STAND_IN))
    from matanyone2.inference import inference_core  # pyright: ignore

    yield inference_core
    _forget()


def weights(path: Path, **tensors: Any) -> Found:
    import torch

    torch.save({"layer.weight": torch.ones(1, 4), "layer.bias": torch.zeros(1), **tensors}, path)
    return Found(path, "a" * 64)


@pytest.fixture
def engine(package: Any, tmp_path: Path) -> Any:
    from app.worker.engines.matanyone import MatAnyone

    return MatAnyone(tmp_path, weights(tmp_path / "matanyone2.pth"))


def image(at: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """One brightness all over, by which the stand-in tells the frame: 10 for the first, 11 for the second …"""
    return np.full((*shape, 3), 10 + at, np.uint8)


def anchor(at: int, shape: tuple[int, int] = SHAPE) -> Anchor:
    mask = np.zeros(shape, bool)
    mask[10:30, 20 : 30 + at] = True
    return Anchor(at, 0, mask)


def plan(
    anchors: Sequence[Anchor],
    count: int = 10,
    span: tuple[int, int] | None = None,
    *,
    shape: tuple[int, int] = SHAPE,
    read: Callable[..., np.ndarray] = image,
    **parameters: int,
) -> Plan:
    start, stop = span or (0, count - 1)
    made = Plan(
        count=count,
        shape=shape,
        start=start,
        stop=stop,
        anchors=anchors,
        prepared=lambda at, purpose: None,
        image=lambda at: read(at, shape),
    )
    made.parameters = MatteParameters(**{"warm_up": 1, **parameters})  # type: ignore[arg-type]
    return made


def alphas(engine: Any, plan: Plan) -> dict[int, np.ndarray]:
    found = {}
    for step in engine.matte(plan):
        if step is not None:
            assert step[0] not in found
            found[step[0]] = step[1]
    return found


def test_every_mask_is_walked_from_both_ways_half_way_to_the_next(engine: Any, package: Any) -> None:
    package.calls.clear()
    found = alphas(engine, plan([anchor(7), anchor(2)], warm_up=2))
    walks = {(2, 1): [2, 3, 4], (2, -1): [1, 0], (7, 1): [7, 8, 9], (7, -1): [6, 5]}
    expected: list[tuple[Any, ...]] = []
    for (at, way), positions in walks.items():
        expected += [("mask", 10 + at, 20 * (10 + at)), *[("first", 10 + at)] * 3]
        expected += [("next", 10 + one) for one in positions if way == -1 or one != at]
    assert package.calls == expected
    assert list(found) == [2, 3, 4, 1, 0, 7, 8, 9, 6, 5]
    for at, alpha in found.items():
        assert (alpha.shape, alpha.dtype) == (SHAPE, np.float32)
        begin = 2 if at <= 4 else 7
        assert alpha == pytest.approx(np.where(anchor(begin).mask, (10 + at) / 255, 0))


def test_only_what_is_wanted_is_walked_to(engine: Any, package: Any) -> None:
    package.calls.clear()
    asked = plan([anchor(1), anchor(5)], span=(4, 6), warm_up=0)
    asked.done = {6}
    assert sorted(alphas(engine, asked)) == [4, 5]
    assert package.calls == [
        *[("mask", 15, 300), ("first", 15)],
        *[("mask", 15, 300), ("first", 15), ("next", 14)],
    ]
    package.calls.clear()
    assert list(alphas(engine, plan([anchor(1)], span=(3, 2), warm_up=0))) == [2, 3]
    assert [call[1] for call in package.calls] == [11, 11, 12, 13]


def test_masks_shrink_and_grow_first_and_empty_ones_say_nothing(engine: Any, package: Any) -> None:
    empty = Anchor(4, 0, np.zeros(SHAPE, bool))

    def pixels(**parameters: int) -> int:
        package.calls.clear()
        alphas(engine, plan([anchor(0), empty], count=1, **parameters))
        return package.calls[0][2]

    plain = pixels()
    assert plain == 200
    assert pixels(erode=2) < plain < pixels(dilate=2)
    with pytest.raises(Refused, match="are empty"):
        alphas(engine, plan([empty]))


@pytest.mark.parametrize(
    ("shape", "seen"), [((1200, 1300), (1080, 1170)), ((1300, 1090), (1288, 1080)), ((48, 112), (96, 112))]
)
def test_large_frames_are_seen_smaller_and_tiny_ones_larger(
    engine: Any, package: Any, shape: tuple[int, int], seen: tuple[int, int]
) -> None:
    package.sizes.clear()
    asked = plan([anchor(0, shape)], count=1, shape=shape, warm_up=0)
    (alpha,) = alphas(engine, asked).values()
    assert package.sizes == {seen}
    assert alpha.shape == shape
    assert engine.settings(asked) == {"package": "matanyone2", "working_size": f"{seen[1]}×{seen[0]}"}


def test_closing_a_walk_lets_its_memory_go(engine: Any, package: Any) -> None:
    walk = engine.matte(plan([anchor(0)], warm_up=0))
    assert next(step for step in walk if step is not None)[0] == 0
    assert len(package.living) == 1
    before = len(package.calls)
    walk.close()
    gc.collect()
    assert (len(package.living), len(package.calls)) == (0, before)


def test_weights_of_another_model_are_refused_in_words(package: Any, tmp_path: Path) -> None:
    import torch

    from app.worker.engines.matanyone import MatAnyone

    path = tmp_path / "matanyone2.pth"
    with pytest.raises(Unavailable, match=r"weights that are none of this model \(layer\.more\)"):
        MatAnyone(tmp_path, weights(path, **{"layer.more": torch.ones(1)}))
    with pytest.raises(Unavailable, match=r"another shape or type \(layer\.weight is 2×4"):
        MatAnyone(tmp_path, weights(path, **{"layer.weight": torch.ones(2, 4)}))
    torch.save({"layer.weight": torch.ones(1, 4), "other": Path("x")}, path)
    with pytest.raises(Unavailable, match="other Python objects than tensors"):
        MatAnyone(tmp_path, Found(path, "a" * 64))
    with pytest.raises(Unavailable, match=r"no weights\. Put matanyone2\.pth into"):
        MatAnyone(tmp_path, None)


def test_a_package_that_is_away_and_one_that_lacks_something_are_told_apart(
    package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.worker.engines.matanyone import MatAnyone

    found = weights(tmp_path / "matanyone2.pth")
    monkeypatch.setitem(sys.modules, "omegaconf", None)
    with pytest.raises(
        Unavailable, match=r"matanyone2 is there, but not all that it needs: .* omegaconf"
    ) as caught:
        MatAnyone(tmp_path, found)
    assert "pip install omegaconf" in caught.value.sentence
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(STAND_IN)])
    _forget()
    if find_spec("matanyone2") or find_spec("matanyone"):
        pytest.skip("the real package is installed")
    with pytest.raises(Unavailable, match=r"^The Python package matanyone2 is not installed\.") as caught:
        MatAnyone(tmp_path, found)
    assert "NTU S-Lab License 1.0 (non-commercial)" in caught.value.sentence
    assert "pip install --no-deps matanyone2-runtime" in caught.value.sentence


def test_the_real_package_answers_to_the_same_calls(tmp_path: Path) -> None:
    _forget()
    pytest.importorskip("omegaconf")
    real = pytest.importorskip("matanyone2")
    import torch
    from matanyone2.model.matanyone2 import MatAnyone2  # pyright: ignore
    from omegaconf import OmegaConf  # pyright: ignore

    from app.worker.engines.matanyone import MatAnyone

    torch.manual_seed(0)
    folder = Path(real.__file__).parent / "config"
    config: Any = OmegaConf.load(folder / "eval_matanyone_config.yaml")
    config.pop("defaults")
    config.pop("hydra")
    config.model = OmegaConf.merge(
        OmegaConf.load(folder / "model" / "base.yaml"), TINY, {"pretrained_resnet": False}
    )
    path = tmp_path / "matanyone2.pth"
    torch.save({"model": MatAnyone2(config, single_object=True).state_dict(), "architecture": TINY}, path)
    engine = MatAnyone(tmp_path, Found(path, "a" * 64))

    def picture(at: int, shape: tuple[int, int]) -> np.ndarray:
        return scene(at, shape[1], shape[0])[0]

    asked = plan([anchor(1), anchor(4)], count=6, read=picture)
    found = alphas(engine, asked)
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    for alpha in found.values():
        assert (alpha.shape, alpha.dtype) == (SHAPE, np.float32)
        assert 0 <= alpha.min() <= alpha.max() <= 1
    assert max(alpha.max() for alpha in found.values()) > 0.01, "a mask of 0 and 1 would all but vanish"
    again = alphas(engine, asked)
    assert all((again[at] == alpha).all() for at, alpha in found.items())
