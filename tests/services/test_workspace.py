"""The WebSocket's session over a real store and a real worker; rows 41 to 45 of the hostile inputs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import store as db
from app.errors import Conflict, NotFound, TooMany
from app.models import (
    Asset,
    ClassDef,
    ClassTemplate,
    Frame,
    Geometry,
    Point,
    Project,
    Region,
    frame_id,
    new_id,
)
from app.services.context import Context, Paths
from app.services.events import Events
from app.services.workspace import MAX_UNREAD, Session
from app.settings import Settings
from app.worker.protocol import Ping
from tasks.queue import make_queue
from tests.worker.conftest import ASSET, Bench

PROJECT, OTHER, TRASHED = (c * 24 for c in "abc")
FOREIGN = "f" * 24
REGION = "d" * 24


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    data = tmp_path_factory.mktemp("data").resolve()
    bench = Bench(data)
    store = db.Store.open(data)
    paths = Paths(data)
    paths.make()
    template = ClassTemplate(id=new_id(), name="t", classes=[ClassDef(id=1, name="car", colour="#ff0000")])

    def fill(cur: db.Cursor) -> None:
        db.class_templates.insert(cur, template)
        for id, trashed in ((PROJECT, None), (OTHER, None), (TRASHED, 1.0)):
            project = Project(
                id=id, name="p", class_template_id=template.id, engine="fake", trashed_at=trashed
            )
            db.projects.insert(cur, project)
        for asset_id, project_id in ((ASSET, PROJECT), (FOREIGN, OTHER)):
            asset = Asset(id=asset_id, project_id=project_id, name="a", stem="a", kind="images", source="x")
            db.assets.insert(cur, asset)
            for index in range(4):
                drawn = bench.frame(index)
                frame = Frame(
                    id=frame_id(asset_id, index),
                    asset_id=asset_id,
                    index=index,
                    source_index=index,
                    pts=None,
                    width=160,
                    height=120,
                    hash=f"{asset_id}{index}",
                    file=Path(drawn.path).relative_to(f"assets/{ASSET}").as_posix(),
                    thumb="",
                )
                db.frames.insert(cur, frame)
        geometry = Geometry(points=[Point(x=20, y=20, r=5)])
        db.regions.insert(cur, Region(id=REGION, frame_id=frame_id(ASSET, 0), class_id=1, geometry=geometry))

    store.write(fill)
    settings = Settings(data=data, fake_engine=True)
    yield Context(settings, paths, store, bench.client, make_queue(data), Events())
    store.close()
    bench.close()


class Tab:
    """A session with the client's end of the conversation."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._out: AsyncIterator[bytes] = session.outgoing()

    async def say(self, **message: Any) -> None:
        await self.session.handle(json.dumps({"v": 1, **message}).encode())

    async def prompt(
        self, request: int, *, index: int = 0, x: float = 80, text: str | None = None, **more: Any
    ) -> None:
        geometry = {"points": [{"x": x, "y": 60, "label": 1, "r": 10}], "text": text}
        message = {
            "type": "prompt",
            "request": request,
            "frame": frame_id(ASSET, index),
            "geometry": geometry,
        }
        await self.say(**{**message, **more})

    async def hear(self, *kinds: str) -> tuple[dict[str, Any], bytes]:
        """The next frame of one of `kinds`; others are passed over."""
        while True:
            data = await asyncio.wait_for(anext(self._out), 30)
            length = int.from_bytes(data[:4], "little")
            header = json.loads(data[4 : 4 + length])
            if header["type"] in kinds:
                return header, data[4 + length :]

    async def answer(self, request: int) -> dict[str, Any]:
        while True:
            header, _ = await self.hear("proposal", "error")
            if header["request"] == request:
                return header


def talk(ctx: Context, conversation: Callable[..., Awaitable[None]], *, tabs: int = 1) -> None:
    async def run() -> None:
        sessions = [Session(ctx, PROJECT, f"person {i}") for i in range(tabs)]
        try:
            for session in sessions:
                await session.open()
            await conversation(*(Tab(session) for session in sessions))
        finally:
            for session in sessions:
                await session.close()

    asyncio.run(run())


def test_hello_tells_the_version_the_worker_and_the_engines(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        hello, _ = await tab.hear("hello", "presence")
        assert (hello["type"], hello["v"], hello["worker"]["state"]) == ("hello", 1, "ready")
        assert {"classic", "sam3", "fake"} <= {engine["id"] for engine in hello["engines"]}

    talk(ctx, conversation)


def test_the_engine_that_will_be_asked_gets_ready_and_one_that_is_none_does_no_harm(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.say(type="focus", frame=frame_id(ASSET, 1), engine="no such engine")
        await tab.prompt(1, index=1)
        assert (await tab.answer(1))["type"] == "proposal"
        await tab.say(type="focus", frame=frame_id(ASSET, 0), engine="classic")
        while "classic" not in (await asyncio.wrap_future(ctx.worker.submit(Ping()))).engines:
            await asyncio.sleep(0)

    talk(ctx, conversation)


def test_exemplars_and_text_come_back_as_instances_with_the_presence(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.hear("hello", "presence")
        await tab.prompt(1, exemplars=[{"box": [10, 10, 30, 40]}, {"box": [50, 10, 90, 40]}])
        header, _ = await tab.hear("proposal")
        assert (header["kind"], header["presence"], len(header["candidates"])) == ("instances", 0.95, 2)

    talk(ctx, conversation)


def test_a_prompt_comes_back_as_packed_bits_at_their_offsets(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(7)
        header, payload = await tab.hear("proposal")
        assert (header["request"], header["frame"], header["engine"]) == (7, frame_id(ASSET, 0), "fake")
        (c,) = header["candidates"]
        rows = np.frombuffer(payload[c["offset"] : c["offset"] + c["length"]], np.uint8).reshape(c["h"], -1)
        crop = np.unpackbits(rows, axis=1, count=c["w"]).astype(bool)
        y, x = np.mgrid[c["y"] : c["y"] + c["h"], c["x"] : c["x"] + c["w"]] + 0.5
        assert (crop == ((x - 80) ** 2 + (y - 60) ** 2 <= 100)).all()
        assert c["area"] == crop.sum()

    talk(ctx, conversation)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b'{"v":1}',
        b'{"v":1,"type":"drop"}',
        b'{"v":1,"type":"prompt","request":"1"}',
        b"[" * 200_000,
        b'{"v":1,"type":"focus","frame":"../../etc/passwd"}',
        b'{"v":1,"type":"cancel","request":1e400}',
        b'{"v":1,"type":"cancel","request":NaN}',
        b" " * (1 << 20) + b"{}",
    ],
)
def test_garbage_is_answered_with_a_sentence_and_the_session_goes_on(ctx: Context, raw: bytes) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.session.handle(raw)
        error, _ = await tab.hear("error")
        assert error["code"] in ("bad-request", "too-large", "reload")
        assert error["detail"].endswith(".")
        await tab.prompt(1)
        assert (await tab.answer(1))["type"] == "proposal"

    talk(ctx, conversation)


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5])
def test_another_version_is_told_to_reload(ctx: Context, version: object) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(3, v=version)
        error, _ = await tab.hear("error")
        assert (error["request"], error["code"]) == (3, "reload")
        assert "Reload" in error["detail"]

    talk(ctx, conversation)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (-0.5, "refused"),
        (160.01, "refused"),
        (999_999, "refused"),
        (1e308, "bad-request"),
        (-1e308, "bad-request"),
    ],
)
def test_points_off_the_frame_are_rejected_and_not_clamped(ctx: Context, x: float, code: str) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(4, x=x)
        error = await tab.answer(4)
        assert (error["type"], error["code"]) == ("error", code)

    talk(ctx, conversation)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"frame": frame_id(ASSET, 99)}, "not-found"),
        ({"frame": frame_id(FOREIGN, 0)}, "not-found"),
        ({"refine": "e" * 24}, "not-found"),
        ({"engine": "nothing"}, "refused"),
        ({"geometry": {"points": []}}, "refused"),
    ],
)
def test_what_does_not_exist_in_this_project_is_named(ctx: Context, more: dict[str, Any], code: str) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(5, **more)
        error = await tab.answer(5)
        assert (error["type"], error["code"]) == ("error", code)

    talk(ctx, conversation)


def test_a_region_of_the_frame_can_be_refined(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(6, refine=REGION)
        assert (await tab.answer(6))["type"] == "proposal"

    talk(ctx, conversation)


def test_only_the_newest_of_many_prompts_is_asked_and_each_gets_an_answer(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(1, text="slow")
        await asyncio.sleep(0)
        for request in range(2, 101):
            await tab.prompt(request)
        heard = {}
        while len(heard) < 100:
            header, _ = await tab.hear("proposal", "error")
            heard[header["request"]] = header.get("code", "proposal")
        assert {n for n, what in heard.items() if what == "proposal"} == {1, 100}
        assert {what for n, what in heard.items() if n not in (1, 100)} == {"superseded"}

    talk(ctx, conversation)


def test_a_client_that_sends_and_does_not_read_is_let_go(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        async def flood() -> None:
            for request in range(10 * MAX_UNREAD):
                await tab.prompt(request)

        with pytest.raises(TooMany):
            await flood()
        assert len(tab.session._out) <= MAX_UNREAD + 1

    talk(ctx, conversation)


def test_an_answer_for_a_frame_already_left_is_dropped(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.say(type="focus", frame=frame_id(ASSET, 0))
        await tab.prompt(1, text="slow")
        await asyncio.sleep(0)
        await tab.say(type="focus", frame=frame_id(ASSET, 1))
        await tab.prompt(2, index=1)
        header, _ = await tab.hear("proposal", "error")
        assert (header["type"], header["request"]) == ("proposal", 2)

    talk(ctx, conversation)


def test_a_cancelled_prompt_stays_unanswered_and_the_next_is_answered(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        await tab.prompt(1, text="slow")
        await asyncio.sleep(0)
        await tab.say(type="cancel", request=1)
        await tab.prompt(2)
        header, _ = await tab.hear("proposal", "error")
        assert (header["type"], header["request"]) == ("proposal", 2)

    talk(ctx, conversation)


def test_people_see_who_is_where_and_what_others_change(ctx: Context) -> None:
    async def conversation(first: Tab, second: Tab) -> None:
        await second.say(type="focus", frame=frame_id(ASSET, 2))
        while True:
            presence, _ = await first.hear("presence")
            if presence["people"] == [
                {"actor": "person 0", "frame": None},
                {"actor": "person 1", "frame": frame_id(ASSET, 2)},
            ]:
                break
        news = {"frame_id": frame_id(ASSET, 0), "actor": "person 1", "key": "k"}
        ctx.events.publish("regions", {**news, "frame_id": "elsewhere"}, OTHER)
        ctx.events.publish("regions", news, PROJECT)
        changed, _ = await first.hear("changed")
        assert changed == {"type": "changed", "frame": news["frame_id"], "actor": "person 1", "key": "k"}
        await second.session.close()
        presence, _ = await first.hear("presence")
        assert presence["people"] == [{"actor": "person 0", "frame": None}]

    talk(ctx, conversation, tabs=2)


def test_an_edit_is_noticed_at_the_next_prompt(ctx: Context) -> None:
    async def conversation(tab: Tab) -> None:
        frame = frame_id(ASSET, 3)
        region = Region(id=new_id(), frame_id=frame, class_id=1, geometry=Geometry(points=[Point(x=9, y=9)]))
        await asyncio.to_thread(ctx.store.write, lambda cur: db.regions.insert(cur, region))
        await tab.prompt(1, index=3, refine=region.id)
        assert (await tab.answer(1))["type"] == "proposal"
        await asyncio.to_thread(ctx.store.write, lambda cur: db.regions.delete(cur, region.id))
        ctx.events.publish("regions", {"frame_id": frame, "actor": "x", "key": "k"}, PROJECT)
        await tab.hear("changed")
        await tab.prompt(2, index=3, refine=region.id)
        assert (await tab.answer(2))["code"] == "not-found"

    talk(ctx, conversation)


@pytest.mark.parametrize(("project", "error"), [("9" * 24, NotFound), (TRASHED, Conflict)])
def test_a_project_that_is_gone_cannot_be_opened(ctx: Context, project: str, error: type[Exception]) -> None:
    async def run() -> None:
        session = Session(ctx, project, "someone")
        with pytest.raises(error):
            await session.open()
        await session.close()

    asyncio.run(run())
