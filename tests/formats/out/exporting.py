"""Exports in memory: writers driven as the job drives them, and frames drawn from random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from app.formats.out import FORMATS
from app.formats.out.model import FrameOut, Options, Plan, RegionOut
from app.formats.out.writers import open_writer
from app.models import ClassDef, Track

CLASSES = [
    ClassDef(id=1, name="road", colour="#804080"),
    ClassDef(id=2, name="car", colour="#00008e", value=26, parent=1),
    ClassDef(id=7, name="sky", colour="#4682b4", value=0),
]
TRACKS = [Track(id=f"{n:024x}", project_id="0" * 24, class_id=2, name=f"car {n}") for n in (1, 2)]
REGIONS = [(1, None), (2, 1), (2, 2), (2, None), (7, None)]
"""(class, track) of the regions of every frame that `frames` draws."""


def frame(
    winners: np.ndarray, position: int = 0, regions: list[tuple[int, int | None]] = REGIONS
) -> FrameOut:
    """A frame whose pixels are positions in `regions` + 1."""
    table = np.array([0, *(class_id for class_id, _ in regions)], np.uint16)
    return FrameOut(
        position=position,
        index=position,
        sequence="clip",
        folder="",
        name=f"clip_{position:06d}",
        suffix=".jpg",
        label_map=table[winners],
        winners=winners.astype(np.uint16),
        regions=[
            RegionOut(f"{n}", c, track, {"lit": "yes"} if track else {})
            for n, (c, track) in enumerate(regions)
        ],
    )


@st.composite
def frames(draw: st.DrawFn) -> list[FrameOut]:
    """Two small frames: blobs, specks, stripes and everything between, full and empty ones too."""
    made = []
    for position in range(2):
        height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
        seed, share = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, len(REGIONS) + 1, (height // 4 + 1, width // 4 + 1))
        winners = np.kron(coarse, np.ones((4, 4), int))[:height, :width]
        noise = rng.random((height, width)) < share * draw(st.sampled_from([0.05, 1.0]))
        winners[noise] = rng.integers(0, len(REGIONS) + 1, int(noise.sum()))
        made.append(frame(winners, position))
    return made


def export(
    format: str, shown: list[FrameOut], classes: list[ClassDef] = CLASSES, **options: Any
) -> tuple[dict[str, bytes], list[str]]:
    """All files of an export, and its notes."""
    row = FORMATS[format]
    chosen = Options(**options)
    plan = Plan(
        format=format,
        title="A <project>",
        classes=classes,
        tracks=TRACKS,
        options=chosen,
        objects=chosen.objects or row.objects,  # pyright: ignore[reportArgumentType]
        split=chosen.split or row.split,
        survey=lambda: iter([(f.sequence, f.regions) for f in shown]),
    )
    writer = open_writer(format, plan)
    pages = [writer.frame_files(f) for f in shown]
    files = {name: b"".join(content) for name, content in writer.finish(lambda: pages)}
    for page in pages:
        for name, data in page.items():
            if not name.startswith("@"):
                assert name not in files
                files[name] = data
    return files, writer.notes
