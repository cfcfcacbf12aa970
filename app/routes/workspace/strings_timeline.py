"""What the timeline says: lanes, jumps and the selected range; part of `strings`."""

from __future__ import annotations

from app.i18n import _, plural_forms


def timeline_strings() -> dict[str, str]:
    """Key → sentence, as in `strings`; English and keys are those of static/canvas/strings_timeline.js."""
    return {
        "action.next_unlabelled": _("Next frame without regions"),
        "action.previous_unlabelled": _("Previous frame without regions"),
        "action.next_flagged": _("Next frame to review"),
        "action.previous_flagged": _("Previous frame to review"),
        "action.next_anchor": _("Next anchor, of the selected track if one is selected"),
        "action.previous_anchor": _("Previous anchor, of the selected track if one is selected"),
        "action.range_start": _("Start of the range at this frame"),
        "action.range_stop": _("End of the range at this frame"),
        "gesture.range": _("Select a range of frames on the ruler"),
        "time.zoom_in": _("Zoom the timeline in"),
        "time.zoom_out": _("Zoom the timeline out"),
        "jump.none_unlabelled": _("No other frame is without regions."),
        "jump.none_flagged": _("No other frame is to review."),
        "jump.none_anchor": _("There is no other anchor."),
        "jump.none_anchor_of": _("The selected track has no other anchor."),
        "jump.none_event": _("Nothing else changes in this lane."),
        "lane.tree": _("Lanes of classes and tracks"),
        "lane.unknown": _("class {n}"),
        "lane.nameless": _("track {n}"),
        "lane.loose": _("without a track"),
        "lane.empty": _("No regions yet. Label a frame, select a region and press T to track it."),
        "lane.is_anchor": _("anchor"),
        "lane.is_flagged": _("uncertain"),
        "lane.is_region": _("region"),
        "lane.is_lost": _("lost"),
        "lane.is_none": _("not tracked"),
        "lane.here": _("{name}: {fact}"),
        "lane.fact": _("{name}, frame {n}: {fact}"),
        "range.seconds": _("{n} s"),
        "range.name": _("Range on the timeline"),
        "range.start": _("Start of the range"),
        "range.stop": _("End of the range"),
        "range.clear": _("Clear the range"),
        "range.is": _("Frames {n} to {m} are selected, {length}."),
        "range.cleared": _("No range is selected."),
    }


def counted_timeline_strings() -> dict[str, dict[str, str]]:
    """Key → plural forms."""
    return {
        "time.to_review": plural_forms("to review", "to review"),
        "lane.tracks": plural_forms("{n} track", "{n} tracks"),
        "lane.frames": plural_forms("{n} frame", "{n} frames"),
        "lane.anchors": plural_forms("{n} anchor", "{n} anchors"),
        "lane.flagged": plural_forms("{n} frame to review", "{n} frames to review"),
        "lane.lost": plural_forms("{n} frame lost", "{n} frames lost"),
        "lane.more": plural_forms("{n} more track is not shown.", "{n} more tracks are not shown."),
        "range.frames": plural_forms("{n} frame", "{n} frames"),
    }
