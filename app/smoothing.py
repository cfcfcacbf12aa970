"""What a person may ask of temporal smoothing: the filters, their parameters and the ranges of those.

The filters themselves are in `app/algo/stabilise`. Nothing heavy may be imported here: pages, the command line and
the consumer all read this table.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from app.errors import Refused

FLICKER_LIMIT = 0.17
"""Warped instability of a frame above which it counts as flickering."""


class Method(Struct, frozen=True, kw_only=True):
    """A filter. `parameter`: the field of `Smoothing` that it reads, from `least` to `most` in steps of `step`."""

    title: str
    parameter: Literal["window", "alpha"]
    least: float
    most: float
    step: float
    default: float


METHODS: dict[str, Method] = {
    "average": Method(title="Moving average", parameter="window", least=3, most=9, step=2, default=7),
    "median": Method(title="Median", parameter="window", least=3, most=9, step=2, default=7),
    "exponential": Method(title="Exponential", parameter="alpha", least=0.1, most=0.9, step=0.1, default=0.3),
}


class Smoothing(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How labels are smoothed along time.

    `window`: frames that have a say, the frame itself in the middle; `alpha`: weight of the frame itself against
    its past; `motion`: neighbours are carried along by optical flow first; `evidence`: only where the labels
    flicker, so that clean masks stay as they are.
    """

    method: str = "average"
    window: int = 7
    alpha: float = 0.3
    motion: bool = True
    evidence: bool = True


class Then(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What follows in the same job once labels are there. `smoothing`: None = they stay as they are."""

    smoothing: Smoothing | None = None
    measure: bool = False


def check(smoothing: Smoothing) -> None:
    """Raise Refused, naming what is allowed and the `field`, for an unknown method or a parameter out of its range."""
    if smoothing.method not in METHODS:
        raise Refused(
            f"There is no filter {smoothing.method[:40]!r}. Filters: {', '.join(METHODS)}.",
            field="method",
        )
    method = METHODS[smoothing.method]
    if method.parameter == "alpha":
        if not method.least <= smoothing.alpha <= method.most:
            raise Refused(
                f"Alpha must lie between {method.least:g} and {method.most:g}; {smoothing.alpha:g} does not.",
                field="alpha",
            )
        return
    if not method.least <= smoothing.window <= method.most or smoothing.window % 2 == 0:
        raise Refused(
            f"The window must be an odd number of frames from {method.least:g} to {method.most:g}; "
            f"{smoothing.window} is not.",
            field="window",
        )
