"""Copies that are refused before any mask is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Refused
from app.models import Frame
from app.services import region_copies
from app.services.context import Context
from app.services.region_copies import RegionCopies
from app.store import Store
from tests.services.test_history import context
from tests.store import rows


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with Store.open(tmp_path_factory.mktemp("copies")) as store:
        yield context(store)


def scene(ctx: Context, *, class_id: int = 1, width: int = 64) -> list[Frame]:
    """Two frames; the first has a region of the class and is so many px wide."""

    def write(cur: db.Cursor) -> list[Frame]:
        _project, _asset, frames = rows.scene(cur, 2)
        db.frames.upsert_many(cur, [replace(frames[0], width=width)])
        db.regions.insert(cur, replace(rows.region(frames[0].id), class_id=class_id))
        return frames

    return ctx.store.write(write)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"width": 80}, "differ in size .80 × 48 px there, 64 × 48 px here."),
        ({"class_id": 9}, "class template"),
    ],
)
def test_regions_that_do_not_fit_are_refused(ctx: Context, facts: dict[str, int], words: str) -> None:
    frames = scene(ctx, **facts)
    with pytest.raises(Refused, match=words):
        region_copies.copy(ctx, frames[1].id, RegionCopies(), actor="ann")
    assert ctx.store.read(lambda cur: db.regions.of_frame(cur, frames[1].id)) == []
