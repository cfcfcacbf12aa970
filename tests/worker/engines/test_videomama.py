"""VideoMaMa behind the production pipe: diffusers in a spawned worker, on the CPU, at a tiny size.

Its weights are random. These tests prove plumbing (masks in, alphas out, chunks, tiles, files refused), never
accuracy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.errors import Refused, Unavailable
from app.matting import MatteParameters
from app.models import Geometry
from app.worker.protocol import LoadEngine, Matte, Matted, Ping, RegionSpec, TrackAnchor, UnloadEngine
from tests.worker.conftest import Bench

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "diffusers", "safetensors")),
    reason="the extra [videomama] is not installed",
)

WIDTH, HEIGHT = 100, 60
BLEND = MatteParameters(chunk=4, overlap=2)
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def bench(videomama_worker: Bench) -> Bench:
    return videomama_worker


def anchor(position: int, box: tuple[float, float, float, float] = (30, 15, 70, 45)) -> TrackAnchor:
    x0, y0, x1, y1 = box
    outline = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]
    geometry = Geometry(outline=outline)
    region = RegionSpec(id=f"{position:024x}", class_id=1, priority=0, order=0, geometry=geometry)
    return TrackAnchor(position=position, object=0, region=region)


def asked(
    bench: Bench,
    span: tuple[int, int],
    masks: Sequence[TrackAnchor],
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **more: object,
) -> Matte:
    (bench.data / "alphas").mkdir(exist_ok=True)
    count = 1 + max(*span, *(one.position for one in masks))
    frames = [bench.frame(7000 + size[0] + index, width=size[0], height=size[1]) for index in range(count)]
    names = [f"{index:06d}" for index in range(count)]
    start, stop = span
    request = Matte(
        frames=frames,
        anchors=list(masks),
        names=names,
        folder="alphas",
        start=start,
        stop=stop,
        engine="videomama",
    )
    for name, value in more.items():
        setattr(request, name, value)
    return request


def matte(bench: Bench, *args: object, **more: object) -> dict[int, np.ndarray]:
    """The alphas as 16-bit numbers by position, in the order in which they came."""
    found = {}
    for reply in bench.client.stream(asked(bench, *args, **more)):  # type: ignore[arg-type]
        assert isinstance(reply, Matted)
        assert reply.position not in found
        found[reply.position] = cv2.imread(str(bench.data / reply.file), cv2.IMREAD_UNCHANGED).astype(
            np.int64
        )
    return found


@pytest.fixture(scope="module")
def whole(bench: Bench) -> dict[int, np.ndarray]:
    return matte(bench, (0, 5), [anchor(at) for at in range(6)], parameters=BLEND)


def test_every_frame_gets_an_alpha_of_its_own_size(whole: dict[int, np.ndarray]) -> None:
    assert list(whole) == [0, 1, 2, 3, 4, 5]
    for alpha in whole.values():
        assert alpha.shape == (HEIGHT, WIDTH)
        assert 0 <= alpha.min() < alpha.max() <= 65535


def test_a_frame_has_the_same_alpha_wherever_the_range_begins_and_which_way_it_goes(
    bench: Bench, whole: dict[int, np.ndarray]
) -> None:
    masks = [anchor(at) for at in range(6)]
    later = matte(bench, (3, 5), masks, parameters=BLEND)
    back = matte(bench, (5, 4), masks, parameters=BLEND)
    rest = matte(bench, (0, 5), masks, parameters=BLEND, done=[0, 1, 3, 4, 5])
    assert [list(found) for found in (later, back, rest)] == [[3, 4, 5], [5, 4], [2]]
    for found in (later, back, rest):
        assert all((alpha == whole[at]).all() for at, alpha in found.items())


def test_where_two_chunks_overlap_one_fades_into_the_other(
    bench: Bench, whole: dict[int, np.ndarray]
) -> None:
    first = matte(bench, (0, 3), [anchor(at) for at in range(4)], parameters=BLEND)
    second = matte(bench, (2, 5), [anchor(at) for at in range(2, 6)], parameters=BLEND)
    assert (whole[1] == first[1]).all()
    assert (whole[4] == second[4]).all()
    for at, share in ((2, 1 / 3), (3, 2 / 3)):
        assert (first[at] != second[at]).any()
        blended = (1 - share) * first[at] + share * second[at]
        assert np.abs(whole[at] - blended).max() <= 2


def test_the_mask_decides_the_alpha_and_may_be_shrunk_and_grown_first(bench: Bench) -> None:
    def alpha(box: tuple[float, float, float, float] = (30, 15, 70, 45), **change: int) -> np.ndarray:
        return matte(bench, (0, 0), [anchor(0, box)], parameters=MatteParameters(**change))[0]

    plain = alpha()
    assert (alpha((0, 0, 40, 40)) != plain).any()
    assert (alpha(dilate=6) != plain).any()
    assert (alpha(erode=6) != plain).any()
    assert alpha((30, 15, 70, 45), erode=40).max() == 0, "without a pixel of a mask there is nothing to see"


def test_large_frames_are_done_in_tiles_and_say_so(bench: Bench) -> None:
    size = (448, 256)
    tiled = asked(bench, (0, 0), [anchor(0)], size=size, parameters=MatteParameters(tile=256))
    (reply,) = bench.client.stream(tiled)
    assert reply.settings == {
        "seed": 42,
        "decoded_together": 4,
        "precision": "float32",
        "working_size": "448×256",
        "tiles": "2×1",
    }
    alpha = cv2.imread(str(bench.data / reply.file), cv2.IMREAD_UNCHANGED)
    assert alpha.shape == (256, 448)
    # The mask lies in the left tile; the right one fades in from where they overlap.
    assert alpha[:, 256:].max() == 0
    assert alpha[:, :192].min() > 0
    assert 0 < alpha[:, 250].mean() < alpha[:, 194].mean()
    both = matte(bench, (0, 0), [anchor(0, (100, 60, 400, 200))], size=size, parameters=tiled.parameters)[0]
    assert both[:, 256:].min() > 0


def test_frames_without_a_mask_are_named(bench: Bench) -> None:
    with pytest.raises(
        Refused, match=r"a mask on every frame\. There is none on frames 2–3 and 6 of the range"
    ):
        matte(bench, (0, 5), [anchor(at) for at in (0, 3, 4)])
    with pytest.raises(Refused, match="none on frame 1 of the range"):
        matte(bench, (0, 1), [anchor(1)])


def test_it_says_which_weights_serve(bench: Bench) -> None:
    loaded = bench.client.request(LoadEngine(engine="videomama"))
    folder = bench.data / "weights" / "videomama"
    assert loaded.weights == hashlib.sha256((folder / UNET).read_bytes()).hexdigest()[:16]
    assert 5e6 < loaded.bytes < 10e6


# Weights that cannot serve


@pytest.fixture
def change(bench: Bench) -> Iterator[Callable[[str, Callable[[bytes], bytes]], None]]:
    """Puts another content in the place of a file of the weights, until the test ends."""
    kept: dict[Path, bytes] = {}

    def put(name: str, content: Callable[[bytes], bytes]) -> None:
        path = bench.data / "weights" / "videomama" / name
        before = kept.setdefault(path, path.read_bytes())
        path.write_bytes(content(before))
        bench.client.request(UnloadEngine(engine="videomama"))

    yield put
    for path, content in kept.items():
        path.write_bytes(content)
    bench.client.request(UnloadEngine(engine="videomama"))


def config(**values: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps({**json.loads(content), **values}).encode()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "unet/config.json",
            config(in_channels=8),
            "takes 8 channels .those of Stable Video Diffusion itself",
        ),
        ("unet/config.json", config(in_channels=9), "takes 9 channels .the variant that takes a mask of one"),
        ("unet/config.json", config(in_channels=None), "takes None channels, not the 12 of VideoMaMa"),
        ("unet/config.json", config(_class_name="UNet2DModel"), "is that of another model .'UNet2DModel'"),
        ("unet/config.json", config(layers_per_block=2), r"in unet, \d+ of \d+ weights are missing"),
        ("unet/config.json", config(block_out_channels=[5]), "describes no model that can be built"),
        (
            UNET,
            lambda content: content.replace(b"conv_in.bias", b"conv_in.bios"),
            "weights are missing .conv_in",
        ),
        (UNET, lambda content: content[:-9], "damaged or cut off"),
        ("vae/config.json", config(latent_channels=8), "another model than that of Stable Video Diffusion"),
        ("vae/config.json", lambda content: b"{", "its vae/config.json cannot be read"),
    ],
)
def test_weights_of_another_model_are_refused_in_words_and_never_serve(
    bench: Bench,
    change: Callable[[str, Callable[[bytes], bytes]], None],
    name: str,
    content: Callable[[bytes], bytes],
    words: str,
) -> None:
    change(name, content)
    with pytest.raises(Unavailable, match=words) as caught:
        bench.client.request(LoadEngine(engine="videomama"))
    assert str(bench.data / "weights" / "videomama") in caught.value.sentence
    assert "videomama" not in bench.client.request(Ping()).engines
