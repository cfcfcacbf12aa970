"""Label maps of a bundle's frames: outlines exactly, points by the classic engine where the image is at hand.

Images are found by their content hash: in the bundle itself, in a folder, or in the assets of a data folder. What
another engine certified is shown by the mask that it left in the data folder, else as classic draws it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.algo import render
from app.algo.compete import PreparedFrame, prepare_compete, seeds_of
from app.algo.fuse import label_map_of
from app.errors import NotFound, Refused
from app.formats import bundle
from app.formats.frames import content_hash
from app.formats.images import read_image
from app.mask_key import certifier
from tasks.bundle_index import IndexedBundle
from tasks.given_masks import GivenMasks

SUFFIXES = (".jpg", ".jpeg", ".png")


class Rendered(NamedTuple):
    """`labels`: (H, W) uint16 class ids, 0 unlabelled. `winners`: (H, W) uint16 position in the regions + 1."""

    labels: NDArray[np.uint16]
    winners: NDArray[np.uint16]


@dataclass(frozen=True)
class Certified(render.Claim):
    """A region ready to be rendered, with what certified it."""

    engine: str = ""
    weights: str = ""


class Pictures:
    """Where the images of frames may be found, and the masks in a data folder.

    A folder is looked through once, when it is first needed.
    """

    def __init__(
        self, bundles: Sequence[IndexedBundle] = (), folder: Path | None = None, data: Path | None = None
    ) -> None:
        self._bundles = bundles
        self._folder = folder
        self._assets = None if data is None else data / "assets"
        self.masks = GivenMasks(data)
        self._by_hash: dict[str, Path] | None = None
        self._last: tuple[object, PreparedFrame | None] = (None, None)

    def prepared(self, *frames: bundle.FrameLine) -> PreparedFrame | None:
        """The image that `frames` share, ready for the engine; None where none of them finds it.

        The last one is kept: the two sides of a comparison mostly show the same image.
        """
        key = (frames[0].hash, frames[0].width, frames[0].height)
        if self._last[0] != key:
            found = next((image for frame in frames if (image := self.find(frame)) is not None), None)
            self._last = (key, None if found is None else prepare_compete(found))
        return self._last[1]

    def find(self, frame: bundle.FrameLine) -> NDArray[np.uint8] | None:
        """The image of a frame, (H, W, 3) uint8 RGB; None where it is not at hand or cannot be read."""
        data = self._in_bundles(frame) or self._in_data(frame) or self._in_folder(frame)
        if data is None:
            return None
        try:
            image = read_image(data)
        except Refused:
            return None
        return image if image.shape[:2] == (frame.height, frame.width) else None

    def _in_bundles(self, frame: bundle.FrameLine) -> bytes | None:
        name = f"assets/{frame.asset}/{frame.file}"
        for opened in self._bundles:
            if name in opened.file.media:
                data = opened.file.image(name)
                if content_hash(data) == frame.hash:
                    return data
        return None

    def _in_data(self, frame: bundle.FrameLine) -> bytes | None:
        if self._assets is None or not self._assets.is_dir():
            return None
        others = sorted(p for p in self._assets.iterdir() if p.name != frame.asset and p.name[0] != ".")
        for folder in (self._assets / frame.asset, *others):
            data = _bytes(folder / frame.file)
            if data is not None and content_hash(data) == frame.hash:
                return data
        return None

    def _in_folder(self, frame: bundle.FrameLine) -> bytes | None:
        if self._folder is None:
            return None
        if self._by_hash is None:
            self._by_hash = {}
            for base, _, names in os.walk(self._folder):
                for name in sorted(names):
                    if name.lower().endswith(SUFFIXES):
                        path = Path(base) / name
                        data = _bytes(path)
                        if data is not None:
                            self._by_hash.setdefault(content_hash(data), path)
        path = self._by_hash.get(frame.hash)
        return None if path is None else _bytes(path)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


class Painter:
    """Draws the label maps of one bundle by the priorities of its own class template."""

    def __init__(self, opened: IndexedBundle, pictures: Pictures) -> None:
        classes = opened.header.class_template.classes
        self.places = {known.id: (known.priority, order) for order, known in enumerate(classes)}
        self._pictures = pictures

    def claims(self, regions: Sequence[bundle.RegionLine]) -> list[Certified]:
        """The regions as the renderer takes them, in their order."""
        claims = []
        for line in regions:
            geometry = bundle.geometry_of(line)
            engine, weights = certifier(geometry, line.certificate)
            claims.append(
                Certified(
                    line.class_id, *self.places[line.class_id], geometry, engine=engine, weights=weights
                )
            )
        return claims

    def paint(
        self,
        frame: bundle.FrameLine,
        regions: Sequence[bundle.RegionLine],
        twin: bundle.FrameLine | None = None,
    ) -> Rendered | None:
        """The label map and who won each pixel; None where points must be drawn and the image is not here.

        `twin`: a frame of another bundle, which may lead to the image if it is the same. A region of text
        alone counts as points: the classic engine gives it no pixels.
        """
        shape = (frame.height, frame.width)
        claims = self.claims(regions)
        if not claims:
            empty = np.zeros(shape, np.uint16)
            return Rendered(empty, empty)
        same = [twin] if twin is not None and twin.hash == frame.hash else []

        def draw(drawn: Sequence[Certified]) -> list[render.Crop]:
            image = self._pictures.prepared(frame, *same)
            if image is None:
                raise NotFound("The image is not at hand.")
            return render.competing(image, [seeds_of(claim.geometry) for claim in drawn])

        fixed = self._pictures.masks.of(frame.hash, shape, claims)
        try:
            winners = render.winner_map_with(draw, shape, claims, fixed)
        except NotFound:
            return None
        return Rendered(label_map_of(winners, [(0, 0, claim.class_id, None) for claim in claims]), winners)
