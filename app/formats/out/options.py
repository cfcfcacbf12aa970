"""What may be chosen for an export. A format heeds those that its row in the table names."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Objects = Literal["class", "region"]
Names = Literal["none", "class", "track"]
Quality = Literal["preview", "standard", "high"]
Arrangement = Literal["beside", "stacked"]

Index = Annotated[int, Meta(ge=0)]


class Options(Struct, kw_only=True):
    """Options of all formats; each is described where it stands."""

    unlabelled_value: Annotated[
        int | None, Meta(description="The number for pixels without a region; null: 0 if it is free.")
    ] = None
    shared_values: Annotated[bool, Meta(description="Classes written alike may merge.")] = False
    only_labelled: Annotated[bool, Meta(description="Leave frames without regions out.")] = True
    media: Annotated[bool, Meta(description="Pack the images of the frames too.")] = False
    objects: Annotated[
        Objects | None,
        Meta(description="What one annotation, or one mask video, stands for; null: as usual in the format."),
    ] = None
    split: Annotated[str, Meta(description="The name of the part of the data set; empty: as usual.")] = ""
    start: Annotated[Index | None, Meta(description="Index of the first frame of a video.")] = None
    stop: Annotated[Index | None, Meta(description="Index of the last frame of a video, included.")] = None
    opacity: Annotated[float, Meta(ge=0, le=1, description="Of the labels over the picture.")] = 0.46
    outlines: Annotated[bool, Meta(description="Draw the borders of the labels.")] = True
    outline_width: Annotated[
        Annotated[float, Meta(ge=0.5, le=20)] | None,
        Meta(description="Of the borders in pixels; null: as suits the height of the picture."),
    ] = None
    labels: Annotated[
        Names,
        Meta(description="Names drawn beside the objects: of the class, or of the track where there is one."),
    ] = "none"
    audio: Annotated[bool, Meta(description="Keep the sound of the source.")] = True
    quality: Annotated[Quality, Meta(description="How well the video is encoded.")] = "standard"
    max_side: Annotated[
        int, Meta(ge=0, le=16384, description="Shrink the video to this side in pixels; 0: its own size.")
    ] = 0
    arrangement: Annotated[
        Arrangement, Meta(description="Where the overlay stands: right of the original, or below it.")
    ] = "beside"
    class_ids: Annotated[list[int], Meta(max_length=1000, description="Classes that get a mask video.")] = (
        field(default_factory=list)
    )
    track_ids: Annotated[
        list[str], Meta(max_length=1000, description="Tracks that get a mask video; see `class_ids`.")
    ] = field(default_factory=list)
    lossless: Annotated[
        bool, Meta(description="Mask videos as FFV1 in Matroska, bit for bit, instead of H.264 in MP4.")
    ] = False
