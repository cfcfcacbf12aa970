"""The bench of conversions on drawn masks: nothing may change, and palettes stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.bench import converting
from app.errors import Refused


def test_masks_come_back_from_coco_with_equal_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    (tmp_path / "set" / "masks").mkdir(parents=True)
    for number in range(2):
        values = rng.choice([0, 3, 200, 255], (20, 30)).astype(np.uint8)
        Image.fromarray(values).save(tmp_path / "set" / "masks" / f"{number}.png")
    result = converting.run([tmp_path / "set"], frames=3)
    assert (result["frames"], result["changed_pixels"], result["files_of_equal_bytes"]) == (3, 0, 3)


def test_bench_without_masks_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No mask was found"):
        converting.run([tmp_path])
