"""Interactive segmentation from clicks without weights: superpixels, random walker, small fitted score."""

from app.algo.classic.prepare import Prepared, prepare
from app.algo.classic.segment import Candidate, segment

__all__ = ["Candidate", "Prepared", "prepare", "segment"]
