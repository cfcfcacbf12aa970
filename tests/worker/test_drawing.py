"""Regions are drawn by the engine that certified them, and look the same where that engine is away.

`fake-solo` stands for SAM: its regions do not compete, its weights are any bytes in a file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app import mask_key
from app.algo.render import Crop
from app.errors import Refused, Unavailable
from app.formats import mask_file
from app.models import Geometry, Point
from app.worker import weights
from app.worker.engines.classic import Classic
from app.worker.engines.fake import Fake, FakeSolo
from app.worker.protocol import (
    Accept,
    FrameRef,
    LoadEngine,
    RegionSpec,
    Render,
    Rendered,
    Track,
    TrackAnchor,
    Tracked,
    UnloadEngine,
)

from .conftest import Bench, click, predict

SHAPE = (120, 160)


@pytest.fixture
def solo(bench: Bench) -> Iterator[str]:
    """The engine with its weights there; what it calls them."""
    yield give(bench, b"one")
    take(bench)


def give(bench: Bench, content: bytes) -> str:
    """Put weights there (others, where some were loaded); what the engine will call them."""
    path = bench.data / "weights" / "fake-solo.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    bench.client.request(UnloadEngine(engine="fake-solo"))
    return bench.client.request(LoadEngine(engine="fake-solo")).weights


def take(bench: Bench) -> None:
    (bench.data / "weights" / "fake-solo.bin").unlink(missing_ok=True)
    bench.client.request(UnloadEngine(engine="fake-solo"))


def spec(name: str, geometry: Geometry, engine: str = "", weights: str = "", priority: int = 0) -> RegionSpec:
    return RegionSpec(
        id=name * 24,
        class_id=1,
        priority=priority,
        order=0,
        geometry=geometry,
        engine=engine,
        weights=weights,
    )


def rendered(bench: Bench, frame: FrameRef, *regions: RegionSpec) -> tuple[np.ndarray, Rendered]:
    reply = bench.client.request(Render(frame=frame, regions=list(regions), engine="fake-solo"))
    return np.frombuffer(reply.body, np.uint8).reshape(SHAPE), reply


def disc(x: float, y: float, r: float) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= r * r


def file_of(bench: Bench, frame: FrameRef, region: RegionSpec) -> Path:
    key = mask_key.key_of(frame.hash, region.geometry, region.engine, region.weights)
    return mask_key.path_of(bench.data, key)


def test_every_process_agrees_on_which_regions_compete() -> None:
    for kind in (Classic, Fake, FakeSolo):
        name = {"Classic": "classic", "Fake": "fake", "FakeSolo": "fake-solo"}[kind.__name__]
        assert kind.competes == mask_key.competes(name)
    assert not mask_key.competes("sam3")
    assert not mask_key.competes("an engine of another installation")


def test_what_is_accepted_is_kept_and_drawn_by_its_engine(bench: Bench, solo: str) -> None:
    frame = bench.frame(1)
    asked = Geometry(points=[Point(x=40.123, y=50, r=9)], box=(10.001, 10, 90, 90))
    accepted = bench.client.request(Accept(frame=frame, geometry=asked, engine="fake-solo"))
    assert (accepted.certificate.engine, accepted.certificate.weights) == ("fake-solo", solo)
    own = spec("a", accepted.geometry, *mask_key.certifier(accepted.geometry, accepted.certificate))
    kept = mask_file.read(file_of(bench, frame, own), SHAPE)
    assert kept is not None
    assert kept.mask.sum() == accepted.area
    winners, reply = rendered(bench, frame, own)
    assert ((winners == 1) == kept.full(SHAPE)).all()
    assert reply.substituted == ""


def test_regions_drawn_alone_are_exact_and_their_neighbours_compete_around_them(
    bench: Bench, solo: str
) -> None:
    frame = bench.frame(2)
    winners, reply = rendered(
        bench, frame, spec("a", click(30, 60)), spec("b", click(100.5, 60.5), "fake-solo", solo)
    )
    assert ((winners == 2) == disc(100.5, 60.5, 10)).all()
    assert winners.all()
    assert reply.substituted == ""


def test_a_region_of_classic_is_certified_as_it_will_be_drawn_beside_the_others(
    bench: Bench, solo: str
) -> None:
    frame = bench.frame(3)
    # By its points alone it would win the disc of the image, which is not exactly this one.
    other = spec("b", click(80.5, 60.5, r=29.6), "fake-solo", solo, priority=-1)
    around = Geometry(points=[Point(x=80.5, y=60.5, r=500), Point(x=80.5, y=60.5, label=0, r=29.6)])
    (mask,) = bench.client.request(predict(frame, around)).candidates
    geometry = click(20, 20, r=8)
    accepted = bench.client.request(
        Accept(frame=frame, geometry=geometry, engine="classic", proposal=mask.id, regions=[other])
    )
    assert not accepted.certificate.exact
    _, reply = rendered(bench, frame, other, spec("a", accepted.geometry, "classic"))
    assert reply.areas[1] == accepted.area == SHAPE[0] * SHAPE[1] - disc(80.5, 60.5, 29.6).sum()


def test_without_the_engine_the_kept_mask_is_drawn_and_a_damaged_one_is_not(bench: Bench) -> None:
    frame = bench.frame(4)
    kept = spec("a", click(40, 40), "sam9", "0123456789abcdef")
    path = file_of(bench, frame, kept)
    mask = np.zeros(SHAPE, bool)
    mask[5:9, 7:90] = True
    mask_file.write(path, Crop(mask), SHAPE)
    good = path.read_bytes()
    for damaged in (b"", good[:-1], good[:20] + b"\x00" + good[21:], b"PTM2" + good[4:], b"text"):
        path.write_bytes(damaged)
        winners, reply = rendered(bench, frame, kept)
        assert (winners == 1).all()  # a lone region of classic
        assert reply.substituted == (
            "1 region that sam9 certified was drawn by classic. This installation has no such engine."
        )
    path.write_bytes(good)
    winners, reply = rendered(bench, frame, kept)
    assert ((winners == 1) == mask).all()
    assert reply.substituted == ""


def test_a_stand_in_is_named_and_ends_when_the_engine_is_back(bench: Bench) -> None:
    frame = bench.frame(5)
    info = next(one for one in weights.infos(bench.data, fake=True) if one.id == "fake-solo")
    certified = give(bench, b"one")
    take(bench)
    regions = [spec(name, click(x, 60), "fake-solo", certified) for name, x in (("a", 40.5), ("b", 120.5))]
    winners, reply = rendered(bench, frame, *regions)
    assert winners.all()
    assert reply.substituted == (f"2 regions that fake-solo certified were drawn by classic. {info.reason}")
    assert not file_of(bench, frame, regions[0]).exists()
    (bench.data / "weights" / "fake-solo.bin").write_bytes(b"two")  # known only when it is loaded
    for _ in range(2):
        _, reply = rendered(bench, frame, *regions)
        assert "The weights of fake-solo are not those that certified them." in reply.substituted
    assert give(bench, b"one") == certified
    winners, reply = rendered(bench, frame, *regions)
    assert ((winners == 2) == disc(120.5, 60, 10)).all()
    assert reply.substituted == ""
    take(bench)
    winners, reply = rendered(bench, frame, *reversed(regions))
    assert ((winners == 1) == disc(120.5, 60, 10)).all()
    assert reply.substituted == ""


def test_an_anchor_that_competes_covers_what_it_wins_beside_the_others(bench: Bench, solo: str) -> None:
    frames = [bench.frame(index) for index in (8, 9)]
    region, other = spec("a", click(20, 20, r=8)), spec("b", click(80.5, 60.5, r=20), "fake-solo", solo)
    anchor = TrackAnchor(position=0, object=0, region=region, others=[other])
    asked = Track(frames=frames, anchors=[anchor], start=1, stop=1, engine="fake")
    (tracked,) = (reply for reply in bench.client.stream(asked) if isinstance(reply, Tracked))
    whole = SHAPE[0] * SHAPE[1]
    assert tracked.objects[0].area == pytest.approx(whole - disc(80.5, 60.5, 20).sum(), rel=0.02)


def test_the_cache_may_be_deleted_at_any_time(bench: Bench, solo: str) -> None:
    shutil.rmtree(bench.data / "cache", ignore_errors=True)
    frame = bench.frame(6)
    region = spec("a", click(40, 60), "fake-solo", solo)
    assert rendered(bench, frame, region)[1].substituted == ""
    assert file_of(bench, frame, region).is_file()


def test_an_engine_that_draws_no_regions_is_replaced_and_one_that_is_away_cannot_accept(
    bench: Bench,
) -> None:
    frame = bench.frame(7)
    _, reply = rendered(bench, frame, spec("a", click(40, 60), "deeplabv3", "0123456789abcdef"))
    assert "It draws no regions." in reply.substituted
    with pytest.raises((Refused, Unavailable), match="fake-solo"):
        bench.client.request(Accept(frame=frame, geometry=click(40, 60), engine="fake-solo"))
