"""Whether a frame's labels are still those that something was worked out from. Nothing heavy may be imported here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from app.models import ClassTemplate, Region
from app.quality import Stamp


def ranks_of(template: ClassTemplate) -> str:
    """A digest of what decides which class is seen where two overlap."""
    ranks = [(known.id, known.priority) for known in template.classes]
    return hashlib.blake2b(msgspec.json.encode(ranks), digest_size=8).hexdigest()


def stamp_of(regions: Sequence[Region], ranks: str) -> Stamp:
    """The stamp of a frame's regions, or of those of several frames together."""
    return Stamp(
        regions=len(regions),
        revisions=sum(region.revision for region in regions),
        updated_at=max((region.updated_at for region in regions), default=0.0),
        ranks=ranks,
    )
