"""The pixels of frames, as engines get them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from app.errors import NotFound, Refused
from app.worker.protocol import FrameRef


def read_frame(data: Path, frame: FrameRef) -> np.ndarray:
    """A frame's pixels, (H, W, 3) uint8 RGB. Raises NotFound, or Refused where they do not fit the frame."""
    path = (data / frame.path).resolve()
    if not path.is_relative_to(data) or not path.is_file():
        raise NotFound(f"The image of frame {frame.id} is not in the data folder; import the asset again.")
    content = np.fromfile(path, np.uint8)
    image = None
    if content.size:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise Refused(f"The image of frame {frame.id} is damaged; import the asset again.")
    if image.shape[:2] != frame.shape:
        raise Refused(
            f"The image of frame {frame.id} is {image.shape[1]}×{image.shape[0]} px, "
            f"not {frame.width}×{frame.height} px; import the asset again."
        )
    return image
