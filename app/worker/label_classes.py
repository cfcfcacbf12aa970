"""The classes that engines label whole frames with. Imports no engine, so that the web process may read it."""

from __future__ import annotations

VOC: tuple[str, ...] = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""PASCAL VOC 2012 in the order of its label maps (facts: everingham2010voc)."""

LABEL_CLASSES: dict[str, tuple[str, ...]] = {
    "deeplabv3": VOC,
    "fake": ("background", "left", "right"),
}
"""Engine id → its classes; the index is the value in its label maps, 0 is what belongs to none of them."""
