"""What the fusion inspector asks of masks that are drawn already: who covers a pixel, what other priorities do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.algo.fuse import bounding_box, fuse, layers_at
from app.algo.render import Crop
from app.algo.what_if import layers_of, moves
from app.worker import protocol
from app.worker.protocol import Gain, Inspect, Inspected, Repriced, WhatIf


def inspected(request: Inspect, crops: Sequence[Crop]) -> Inspected:
    """Who covers the pixel, the winner first, with the areas of their whole masks in px."""
    hits = layers_at(layers_of(request.regions, crops), request.x, request.y)
    areas = [int(np.count_nonzero(crops[index].mask)) for index in hits]
    return Inspected(request=request.request, hits=hits, areas=areas)


def repriced(request: WhatIf, crops: Sequence[Crop]) -> Repriced:
    """What changes on the frame where the classes get the ranks of `request.ranks`."""
    shape = request.frame.shape
    before = fuse(layers_of(request.regions, crops), shape)
    after = fuse(layers_of(request.regions, crops, request.ranks), shape)
    moved = moves(before, after)
    gains = []
    for class_id in sorted({target for _, target in moved}):
        mask = (after == class_id) & (before != after)
        box = bounding_box(mask)
        assert box is not None
        x0, y0, x1, y1 = box
        bits = np.packbits(mask[y0:y1, x0:x1], axis=1).tobytes()
        gains.append(Gain(class_id=class_id, x=x0, y=y0, w=x1 - x0, h=y1 - y0, bits=bits))
    rows = [(source, target, pixels) for (source, target), pixels in moved.items()]
    return protocol.Repriced(request=request.request, moves=rows, gains=gains)
