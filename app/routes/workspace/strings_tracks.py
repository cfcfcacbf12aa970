"""What the island says of tracks, corrections, onion skin and marked ranges; part of `strings`."""

from __future__ import annotations

from app.i18n import _, plural_forms


def track_strings() -> dict[str, str]:
    """Key → sentence, as in `strings`; English and keys are those of static/canvas/strings_tracks.js."""
    return {
        "action.retrack": _("Track the selected region anew between its anchors"),
        "action.confirm": _("Confirm the selected region, or all tracked ones, as anchors"),
        "action.copy_previous": _("Copy the regions of the previous frame, or of the selected track"),
        "action.range_done": _("Mark the selected frames done"),
        "action.range_approved": _("Mark the selected frames approved"),
        "action.onion": _("Onion skin: off, previous, next, both"),
        "onion.label": _("Onion skin: {which}"),
        "onion.off": _("off"),
        "onion.previous": _("previous frame"),
        "onion.next": _("next frame"),
        "onion.both": _("both neighbours"),
        "track.between": _("Between anchors"),
        "track.title": _("Track"),
        "track.what": _("What"),
        "track.what_selected": _("Selected: {n}"),
        "track.what_class": _("{name}: {n}"),
        "track.what_frame": _("Frame: {n}"),
        "track.far_end": _("To the end"),
        "track.far_some": _("Frames"),
        "track.far_range": _("Selected range"),
        "track.range": _("Frames {from}–{to}"),
        "track.go": _("Track {regions} over {frames}"),
        "track.go_between": _("Track {regions} between anchors"),
        "track.none_selected": _("No region is selected."),
        "track.accept_first": _("Accept or reject the proposal first."),
        "track.no_region": _("No region can be tracked here."),
        "track.too_many": _("More than {most} regions cannot be tracked at once."),
        "track.at_start": _("This is the first frame."),
        "track.at_end": _("This is the last frame."),
        "track.no_room": _("There is no further frame in this direction."),
        "track.no_anchor": _(
            "No other frame of the track is an anchor, or none lies between. Confirm or correct one first."
        ),
        "track.no_range": _("No range is selected on the timeline."),
        "track.outside": _("This frame lies outside the selected range."),
        "track.no_engine": _("no engine that tracks can run."),
        "retrack.group": _("After the correction"),
        "retrack.corrected": _("corrected"),
        "retrack.onward": _("Re-track from here"),
        "retrack.between": _("Between anchors"),
        "retrack.frame": _("This frame only"),
        "retrack.to_end": _("To the end of the asset"),
        "retrack.to_anchor": _("To the anchor on frame {n}"),
        "scope.title": _("Delete {name}"),
        "scope.frame": _("On this frame"),
        "scope.onward": _("From here on"),
        "scope.backward": _("Up to here"),
        "scope.track": _("The whole track"),
        "scope.delete_some": _("Delete"),
        "scope.undo": _("One undo brings all of it back."),
        "scope.cancel": _("Cancel"),
        "join.begun": _("The next region that is accepted on this frame continues {name}."),
        "copy.none": _("The previous frame has nothing to copy."),
        "say.onion": _("Onion skin: {which}."),
        "refuse.confirmed": _("All tracked regions of this frame are anchors already."),
    }


def counted_track_strings() -> dict[str, dict[str, str]]:
    """Key → plural forms."""
    return {
        "track.regions": plural_forms("{n} region", "{n} regions"),
        "track.frames_n": plural_forms("{n} frame", "{n} frames"),
        "scope.count": plural_forms("{n} region", "{n} regions"),
        "scope.delete": plural_forms("Delete {n} region", "Delete {n} regions"),
        "scope.anchors": plural_forms("{n} of them is an anchor.", "{n} of them are anchors."),
        "scope.approved": plural_forms("{n} lies on an approved frame.", "{n} lie on approved frames."),
        "scope.deleted": plural_forms("{n} region deleted.", "{n} regions deleted."),
        "copy.done": plural_forms(
            "{n} region copied from the previous frame.", "{n} regions copied from the previous frame."
        ),
        "range.marked_done": plural_forms("{n} frame marked done.", "{n} frames marked done."),
        "range.marked_approved": plural_forms("{n} frame marked approved.", "{n} frames marked approved."),
        "range.marked_todo": plural_forms("{n} frame marked todo.", "{n} frames marked todo."),
        "say.confirmed": plural_forms("{n} region confirmed.", "{n} regions confirmed."),
    }
