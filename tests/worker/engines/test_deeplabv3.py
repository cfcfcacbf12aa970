"""DeepLabv3 behind the production pipe: torchvision in a spawned worker, on the CPU, at a tiny size.

Its weights are random. These tests prove plumbing (frames in, label maps out, files refused), never accuracy.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from app.errors import Refused, Unavailable
from app.worker.label_classes import VOC
from app.worker.protocol import Label, Labelled, LoadEngine, Ping, UnloadEngine
from tests.conftest import TinyWeights
from tests.worker.conftest import Bench, click, predict

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "torchvision")),
    reason="the extra [deeplabv3] is not installed",
)

FILE = "deeplabv3.pth"


@pytest.fixture(scope="module")
def bench(deeplabv3_worker: Bench) -> Bench:
    return deeplabv3_worker


def label(bench: Bench, folder: str, sizes: list[tuple[int, int]], start: int = 0) -> dict[str, np.ndarray]:
    """Label drawn frames of these (width, height); the label maps by file name."""
    (bench.data / folder).mkdir(exist_ok=True)
    frames = [bench.frame(100 * w + h, width=w, height=h) for w, h in sizes]
    names = [f"{index:06d}" for index in range(len(frames))]
    message = Label(frames=frames, names=names, folder=folder, engine="deeplabv3", start=start)
    found = {}
    for reply in bench.client.stream(message):
        assert isinstance(reply, Labelled)
        path = bench.data / reply.file
        found[path.name] = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return found


def test_frames_of_any_size_become_label_maps_of_their_size(bench: Bench) -> None:
    sizes = [(160, 120), (90, 161), (1200, 20), (1, 1)]
    maps = label(bench, "a", sizes)
    assert list(maps) == [f"{index:06d}.png" for index in range(4)]
    for label_map, (width, height) in zip(maps.values(), sizes, strict=True):
        assert (label_map.shape, label_map.dtype) == ((height, width), np.uint8)
        assert label_map.max() < len(VOC)
    assert len(np.unique(maps["000000.png"])) > 1


def test_the_same_frame_has_the_same_label_map_also_after_the_model_was_unloaded(bench: Bench) -> None:
    before = label(bench, "b", [(160, 120), (120, 160)])
    bench.client.request(UnloadEngine(engine="deeplabv3"))
    again = label(bench, "c", [(160, 120), (120, 160)], start=1)
    assert list(again) == ["000001.png"]
    assert (before["000001.png"] == again["000001.png"]).all()


def test_it_takes_no_prompts(bench: Bench) -> None:
    with pytest.raises(Refused, match="deeplabv3"):
        bench.client.request(predict(bench.frame(), click(80, 60), engine="deeplabv3"))


def test_it_says_which_weights_serve_and_what_memory_they_take(
    bench: Bench, tiny_weights: TinyWeights
) -> None:
    loaded = bench.client.request(LoadEngine(engine="deeplabv3"))
    assert loaded.weights == hashlib.sha256(tiny_weights("deeplabv3").read_bytes()).hexdigest()[:16]
    assert 10e6 < loaded.bytes < 20e6


# Weights that cannot serve


def _renamed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    assert len(old) == len(new)
    return lambda data: data.replace(old, new)


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "renamed keys": (
        _renamed(b"classifier.4", b"klassifier.4"),
        r"2 of \d+ weights are missing \(classifier\.4\.weight, classifier\.4\.bias\), while 2 others",
    ),
    "another architecture": (
        lambda data: re.sub(rb"(layers(?:q.|r....)?\(K.K.K)\x01", rb"\g<1>" + b"\x02", data, flags=re.DOTALL),
        r"weights are missing \(backbone\.layer3\.1\.conv1\.weight",
    ),
    "other shapes": (
        lambda data: re.sub(rb"(head(?:q.|r....)?K)\x10", rb"\g<1>" + b"\x18", data, flags=re.DOTALL),
        r"weights have another shape or type \(.*is 16×2048×1×1 float32, not 24×2048×1×1 float32",
    ),
    "an impossible size": (
        lambda data: re.sub(rb"(head(?:q.|r....)?K)\x10", rb"\g<1>" + b"\x00", data, flags=re.DOTALL),
        "the architecture in it cannot be built",
    ),
}


@pytest.fixture
def weights(bench: Bench, tiny_weights: TinyWeights) -> Iterator[Callable[[bytes], None]]:
    """Puts other bytes in the place of the weights, until the test ends."""
    path = bench.data / "weights" / FILE

    def put(content: bytes) -> None:
        path.unlink()
        path.write_bytes(content)
        bench.client.request(UnloadEngine(engine="deeplabv3"))

    yield put
    path.unlink()
    path.symlink_to(tiny_weights("deeplabv3"))
    bench.client.request(UnloadEngine(engine="deeplabv3"))


@pytest.mark.parametrize("name", BAD)
def test_a_file_of_another_model_is_refused_in_words_and_never_serves(
    bench: Bench, tiny_weights: TinyWeights, weights: Callable[[bytes], None], name: str
) -> None:
    spoil, words = BAD[name]
    made = io.BytesIO()
    with zipfile.ZipFile(tiny_weights("deeplabv3")) as source, zipfile.ZipFile(made, "w") as target:
        for entry in source.namelist():
            content = source.read(entry)
            if entry.endswith("/data.pkl"):
                before, content = content, spoil(content)
                assert content != before
            target.writestr(entry, content)
    weights(made.getvalue())
    with pytest.raises(Unavailable, match=words) as caught:
        bench.client.request(LoadEngine(engine="deeplabv3"))
    assert str(bench.data / "weights" / FILE) in caught.value.sentence
    with pytest.raises(Unavailable, match=words):
        label(bench, "bad", [(160, 120)])
    assert "deeplabv3" not in bench.client.request(Ping()).engines


def test_a_file_that_is_cut_off_or_no_checkpoint_is_refused(
    bench: Bench, tiny_weights: TinyWeights, weights: Callable[[bytes], None]
) -> None:
    whole = tiny_weights("deeplabv3").read_bytes()
    for content, words in (
        (whole[:-5000], "cut off"),
        (b"version 1\n" * 99, "no PyTorch|no file of weights"),
        (b"\x80\x02}q\x00.", "damaged|no tensors"),
    ):
        weights(content)
        with pytest.raises(Unavailable, match=words):
            bench.client.request(LoadEngine(engine="deeplabv3"))
