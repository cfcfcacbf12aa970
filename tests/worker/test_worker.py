from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Client

import cv2
import numpy as np
import pytest

from app.algo.certificate import iou
from app.algo.labels import decode_rle
from app.errors import NotFound, PointillistError, Refused, Unavailable
from app.models import ClassDef, Geometry, Point
from app.worker import protocol
from app.worker.protocol import Accept, LabelPng, Ping, ProposedMask, RegionSpec, Render, Warm

from .conftest import Bench, click, predict

MakeBench = Callable[..., Bench]


def unpack(mask: ProposedMask, shape: tuple[int, int]) -> np.ndarray:
    out = np.zeros(shape, bool)
    rows = np.frombuffer(mask.bits, np.uint8).reshape(mask.h, (mask.w + 7) // 8)
    out[mask.y : mask.y + mask.h, mask.x : mask.x + mask.w] = np.unpackbits(rows, axis=1)[:, : mask.w]
    return out


def disc(shape: tuple[int, int], x: float, y: float, r: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= r * r


def spec(
    name: str, geometry: Geometry, *, priority: int = 0, order: int = 0, class_id: int = 1
) -> RegionSpec:
    return RegionSpec(id=name * 24, class_id=class_id, priority=priority, order=order, geometry=geometry)


def test_a_click_comes_back_as_a_packed_mask(bench: Bench) -> None:
    frame = bench.frame()
    reply = bench.client.request(predict(frame, click(80.5, 60.5, r=10)))
    (mask,) = reply.candidates
    assert (unpack(mask, frame.shape) == disc(frame.shape, 80.5, 60.5, 10)).all()
    assert mask.area == disc(frame.shape, 80.5, 60.5, 10).sum()


def test_a_mask_that_touches_the_frame_edge_keeps_its_box(bench: Bench) -> None:
    frame = bench.frame()
    (mask,) = bench.client.request(predict(frame, click(0.5, 0.5, r=7))).candidates
    assert (mask.x, mask.y) == (0, 0)
    assert (unpack(mask, frame.shape) == disc(frame.shape, 0.5, 0.5, 7)).all()


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (Geometry(), "Place a point"),
        (click(161, 3), "outside the frame"),
        (click(-0.1, 3), "outside the frame"),
        (click(float("nan"), 3), "cannot be read"),
        (click(1e308, 3), "cannot be read"),
        (Geometry(box=(10, 10, 5, 20)), "box"),
        (Geometry(box=(10, 10, 1e6, 20)), "box"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused_with_a_sentence(
    bench: Bench, geometry: Geometry, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        bench.client.request(predict(bench.frame(), geometry))


def test_an_unknown_engine_is_refused_and_the_known_ones_are_named(bench: Bench) -> None:
    with pytest.raises(Refused, match="classic"):
        bench.client.request(predict(bench.frame(), click(5, 5), engine="../evil"))


def test_an_engine_that_fails_leaves_the_worker_up(bench: Bench) -> None:
    pid = bench.client.request(Ping()).pid
    with pytest.raises(PointillistError, match="ZeroDivisionError") as caught:
        bench.client.request(predict(bench.frame(), click(5, 5, text="bug")))
    assert "a bug in an engine" not in caught.value.sentence
    assert bench.client.request(predict(bench.frame(), click(5, 5))).candidates
    assert bench.client.request(Ping()).pid == pid


def test_out_of_memory_is_tried_again_with_empty_caches(bench: Bench) -> None:
    bench.client.request(predict(bench.frame(0), click(5, 5)))
    assert bench.client.request(predict(bench.frame(1), click(5, 5, text="oom-once"))).candidates


def test_out_of_memory_again_is_a_sentence_and_the_next_click_works(bench: Bench) -> None:
    with pytest.raises(Unavailable, match="memory"):
        bench.client.request(predict(bench.frame(), click(5, 5, text="oom")))
    assert bench.client.request(predict(bench.frame(), click(5, 5))).candidates


def test_images_outside_the_data_folder_are_not_read(bench: Bench) -> None:
    frame = bench.frame()
    frame.hash, frame.path = "other", "../../../../etc/hostname"
    with pytest.raises(NotFound, match="data folder"):
        bench.client.request(predict(frame, click(5, 5), engine="classic"))


def test_a_damaged_image_is_named(bench: Bench) -> None:
    frame = bench.frame(7)
    (bench.data / frame.path).write_bytes(b"not an image")
    with pytest.raises(Refused, match="damaged"):
        bench.client.request(predict(frame, click(5, 5), engine="classic"))


def test_render_paints_by_priority_and_counts_pixels(bench: Bench) -> None:
    frame = bench.frame()
    square = Geometry(outline=[[(20, 20), (60, 20), (60, 60), (20, 60)]])
    regions = [
        spec("a", click(60.5, 40.5, r=20), priority=2, class_id=2),
        spec("b", square, priority=1, class_id=1),
    ]
    reply = bench.client.request(Render(frame=frame, regions=regions, engine="fake"))
    got = np.frombuffer(reply.body, reply.dtype).reshape(reply.height, reply.width)
    want = np.zeros(frame.shape, int)
    want[20:60, 20:60] = 2
    want[disc(frame.shape, 60.5, 40.5, 20)] = 1
    assert (got == want).all()
    assert reply.areas == [(want == 1).sum(), (want == 2).sum()]


def test_a_frame_with_more_than_255_regions_is_rendered_with_two_bytes(bench: Bench) -> None:
    frame = bench.frame()
    corners = [(i % 150, i // 150) for i in range(300)]
    pixels = [[[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]] for x, y in corners]
    regions = [
        RegionSpec(id=f"{i:024x}", class_id=1, priority=0, order=0, geometry=Geometry(outline=pixel))
        for i, pixel in enumerate(pixels)
    ]
    reply = bench.client.request(Render(frame=frame, regions=regions, engine="fake"))
    got = np.frombuffer(reply.body, "<u2").reshape(frame.shape)
    assert reply.dtype == "u2"
    assert got[0, 149] == 150
    assert got[1, 149] == 300


def test_an_outline_is_accepted_exactly_and_without_an_engine(bench: Bench) -> None:
    frame = bench.frame()
    geometry = Geometry(outline=[[(20, 20), (60, 20), (60, 60), (20, 60)]])
    reply = bench.client.request(Accept(frame=frame, geometry=geometry, engine="fake"))
    assert reply.certificate.exact
    assert reply.certificate.iou == 1.0
    assert (reply.area, reply.x, reply.y, reply.w, reply.h) == (1600, 20, 20, 40, 40)
    assert reply.geometry.outline == geometry.outline


def test_an_accepted_proposal_keeps_the_persons_points_and_is_certified(bench: Bench) -> None:
    frame = bench.frame()
    geometry = click(80.5, 60.5, r=20)
    (mask,) = bench.client.request(predict(frame, geometry)).candidates
    reply = bench.client.request(Accept(frame=frame, geometry=geometry, engine="fake", proposal=mask.id))
    assert reply.geometry.points[0] == geometry.points[0]
    assert reply.certificate.iou >= 0.95
    assert reply.certificate.engine == "fake"
    assert abs(reply.area - mask.area) <= 0.05 * mask.area


def test_a_proposal_of_another_frame_is_not_used(bench: Bench) -> None:
    (mask,) = bench.client.request(predict(bench.frame(0), click(80, 60, r=30))).candidates
    reply = bench.client.request(
        Accept(frame=bench.frame(1), geometry=click(20.5, 20.5, r=10), engine="fake", proposal=mask.id)
    )
    assert reply.area < 400


def test_an_accepted_region_that_covers_nothing_is_refused(bench: Bench) -> None:
    geometry = Geometry(points=[Point(x=5, y=5, label=0, r=4)])
    with pytest.raises(Refused, match="no object"):
        bench.client.request(Accept(frame=bench.frame(), geometry=geometry, engine="fake"))


def test_a_region_found_by_classic_renders_as_its_certificate_says(bench: Bench) -> None:
    frame = bench.frame()
    geometry = click(80.5, 60.5, r=0)
    found = bench.client.request(predict(frame, geometry, engine="classic"))
    best = unpack(found.candidates[0], frame.shape)
    truth = disc(frame.shape, 80.5, 60.5, 30)
    assert iou(best, truth) > 0.9
    other = spec("b", click(10.5, 10.5, r=5))
    proposal = found.candidates[0].id
    accepted = bench.client.request(
        Accept(frame=frame, geometry=geometry, engine="classic", proposal=proposal, regions=[other])
    )
    assert accepted.certificate.iou >= 0.95
    assert accepted.geometry.points[0] == geometry.points[0]
    regions = [other, spec("a", accepted.geometry, priority=1)]
    reply = bench.client.request(Render(frame=frame, regions=regions, engine="classic"))
    drawn = np.frombuffer(reply.body, np.uint8).reshape(frame.shape) == 2
    assert iou(drawn, best) == pytest.approx(accepted.certificate.iou)
    assert drawn.sum() == accepted.area == reply.areas[1]


def test_a_label_map_is_painted_in_the_colours_of_its_classes(bench: Bench) -> None:
    frame = bench.frame()
    regions = [spec("a", Geometry(outline=[[(0, 0), (9, 0), (9, 9), (0, 9)]]), class_id=3)]
    classes = [ClassDef(id=3, name="car", colour="#ff8000")]
    asked = LabelPng(frame=frame, regions=regions, engine="fake", mode="colour", classes=classes)
    png = cv2.imdecode(np.frombuffer(bench.client.request(asked).png, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert png[:9, :9].reshape(-1, 3).tolist() == [[255, 128, 0]] * 81
    assert not png[9:].any()
    asked.mode = "sepia"
    with pytest.raises(Refused, match="sepia"):
        bench.client.request(asked)


def test_scripts_get_run_lengths(bench: Bench) -> None:
    frame = bench.frame()
    (mask,) = bench.client.request(predict(frame, click(80.5, 60.5, r=10), rle=True)).candidates
    decoded = decode_rle({"size": list(frame.shape), "counts": mask.rle})
    assert (decoded == disc(frame.shape, 80.5, 60.5, 10)).all()


def test_text_is_refused_by_an_engine_that_does_not_understand_it(bench: Bench) -> None:
    with pytest.raises(Refused, match="text"):
        bench.client.request(predict(bench.frame(), click(5, 5, text="a car"), engine="classic"))


def test_clicks_overtake_other_requests(bench: Bench) -> None:
    done: list[str] = []
    frame = bench.frame()
    slow = bench.client.submit(predict(frame, click(5, 5, text="slow")))
    slow.add_done_callback(lambda _: done.append("slow"))
    render = bench.client.submit(Render(frame=frame, regions=[spec("a", click(9, 9))], engine="fake"))
    render.add_done_callback(lambda _: done.append("render"))
    quick = bench.client.submit(predict(frame, click(6, 6)))
    quick.add_done_callback(lambda _: done.append("quick"))
    render.result(30)
    assert done == ["slow", "quick", "render"]


def test_a_cancelled_request_is_dropped_and_the_others_are_answered(bench: Bench) -> None:
    frame = bench.frame()
    slow = bench.client.submit(predict(frame, click(5, 5, text="slow")))
    unwanted = bench.client.submit(predict(frame, click(5, 5, text="die")))
    wanted = bench.client.submit(predict(frame, click(6, 6)))
    assert unwanted.cancel()
    assert slow.result(30).candidates
    assert wanted.result(30).candidates
    assert "restarting" not in bench.states


def test_prepared_frames_survive_the_web_and_are_bounded(fresh: MakeBench) -> None:
    bench = fresh(cache_mb=3)  # the fake engine's features of a frame count 1 MiB
    for index in range(6):
        bench.client.request(predict(bench.frame(index), click(5, 5)))
    held = bench.client.request(Ping()).cache_bytes
    assert 3 << 20 <= held < 4 << 20
    bench.client.close()
    second = bench.connect()
    pong = second.request(Ping())
    assert pong.cache_bytes == held
    assert pong.engines == ["fake"]
    second.close()


def test_warm_prepares_the_open_frame_and_then_its_neighbours(fresh: MakeBench) -> None:
    bench = fresh()
    bench.client.warm(Warm(frames=[bench.frame(i) for i in range(3)], engine="fake"))
    deadline = time.monotonic() + 20
    while bench.client.request(Ping()).cache_bytes < 3 << 20:
        assert time.monotonic() < deadline


def test_a_hung_worker_is_replaced_and_the_click_is_asked_again(fresh: MakeBench) -> None:
    bench = fresh(timeout_s=0.5)
    first = bench.client.state().pid
    reply = bench.client.submit(predict(bench.frame(), click(5, 5, text="hang-once"))).result(10)
    assert reply.candidates
    assert bench.client.state().pid != first
    assert bench.states == ["ready", "restarting", "ready"]


def test_a_worker_that_hangs_again_is_reported_with_a_sentence(fresh: MakeBench) -> None:
    bench = fresh(timeout_s=0.5)
    with pytest.raises(Unavailable, match="Hand tools keep working"):
        bench.client.request(predict(bench.frame(), click(5, 5, text="hang")))
    assert bench.client.request(predict(bench.frame(), click(5, 5))).candidates


def test_death_in_the_middle_of_a_click_is_retried_once(fresh: MakeBench) -> None:
    bench = fresh()
    assert bench.client.request(predict(bench.frame(), click(5, 5, text="die-once"))).candidates
    with pytest.raises(Unavailable, match="stopped twice"):
        bench.client.request(predict(bench.frame(), click(5, 5, text="die")))
    assert bench.client.request(predict(bench.frame(), click(5, 5))).candidates


def test_clicks_wait_for_a_worker_that_is_being_started(fresh: MakeBench) -> None:
    bench = fresh()
    os.kill(bench.client.state().pid or 0, signal.SIGKILL)
    bench.wait_for(lambda: "restarting" in bench.states)
    assert bench.client.request(predict(bench.frame(), click(5, 5))).candidates


def test_without_a_worker_clicks_are_refused_with_a_sentence(tmp_path) -> None:
    from app.worker.client import WorkerClient

    client = WorkerClient(tmp_path / "nobody.sock", b"key", reconnect_s=0.2)
    client.start()
    with pytest.raises(Unavailable, match="does not start"):
        client.request(Ping())
    assert client.state().state == "missing"
    client.close()


def test_garbage_on_the_socket_does_not_harm_the_worker(fresh: MakeBench) -> None:
    bench = fresh()
    pid = bench.client.state().pid
    bench.client.close()
    with Client(str(bench.socket), family="AF_UNIX", authkey=bench.key) as line:
        line.recv_bytes()
        for data in (b"\xff", b"", b"\x80", protocol.encode(Ping())[:-1], b"\x92" * 1000):
            line.send_bytes(data)
        line.send_bytes(protocol.encode(Ping(request=5)))
        assert protocol.decode_reply(line.recv_bytes()).request == 5
    second = bench.connect()
    assert second.request(Ping()).pid == pid
    second.close()


def test_the_worker_ends_when_its_lifeline_does(tmp_path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.worker", "--socket", str(tmp_path / "s"), "--data", str(tmp_path)],
        stdin=subprocess.PIPE,
        env={**os.environ, "POINTILLIST_AUTHKEY": "00ff"},
    )
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0


def test_the_worker_refuses_to_start_without_a_key(tmp_path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "POINTILLIST_AUTHKEY"}
    command = [sys.executable, "-m", "app.worker", "--socket", str(tmp_path / "s"), "--data", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "POINTILLIST_AUTHKEY" in done.stderr
