"""Objects followed through a video by their masks, without weights: see `Tracker`."""

from app.algo.tracking.features import Frame
from app.algo.tracking.tracker import Sight, Tracker

__all__ = ["Frame", "Sight", "Tracker"]
