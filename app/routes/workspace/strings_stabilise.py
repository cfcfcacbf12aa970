"""What the island says of smoothing labels along time; part of `strings`."""

from __future__ import annotations

from app.i18n import _, plural_forms


def stabilise_strings() -> dict[str, str]:
    """Key → sentence, as in `strings`; English and keys are those of static/canvas/strings_stabilise.js."""
    return {
        "action.stabilise": _("Stabilise labels over time"),
        "action.see_before": _("While comparing: hold to see what was before"),
        "stab.title": _("Stabilise"),
        "stab.close": _("Close without changing anything"),
        "stab.what": _("Labels"),
        "stab.what_all": _("All"),
        "stab.what_classes": _("Classes"),
        "stab.what_track": _("Track"),
        "stab.what_named": _("Track {name}"),
        "stab.classes": _("Classes to stabilise"),
        "stab.far": _("Frames"),
        "stab.far_whole": _("Whole"),
        "stab.far_range": _("Range"),
        "stab.far_shot": _("This shot"),
        "stab.far_around": _("Around here"),
        "stab.span": _("Frames {from}–{to}: {frames}, {labelled} with labels"),
        "stab.filter": _("Filter"),
        "stab.method": _("Filter"),
        "stab.window": _("Window"),
        "stab.window_frames": _("frames"),
        "stab.alpha": _("Alpha"),
        "stab.alpha_help": _("weight of the frame"),
        "stab.motion": _("Motion compensation"),
        "stab.motion_help": _("Neighbours are moved along with the picture first."),
        "stab.evidence": _("Only where it flickers"),
        "stab.evidence_help": _("Steady labels stay as they are."),
        "stab.anchors": _("Change anchors, too"),
        "stab.anchors_help": _("What was drawn, confirmed or imported."),
        "stab.no_range": _("No range is selected on the timeline."),
        "stab.single_frame": _("There is one frame only. Stabilising compares frames with their neighbours."),
        "stab.no_class": _("Choose a class."),
        "stab.no_track": _("Select a region of a track first."),
        "stab.nothing": _("Nothing is labelled in these frames."),
        "stab.all_approved": _("All of these frames are approved. Approved frames are not touched."),
        "stab.all_held": _(
            "All of these labels are anchors or lie on approved frames, so nothing would change."
        ),
        "stab.preview_none": _("Preview"),
        "stab.begins": _("It begins."),
        "stab.waits": _("It waits for its turn."),
        "stab.previewing": _("Making the preview"),
        "stab.applying": _("Changing regions"),
        "stab.progress": _("Progress"),
        "stab.percent": _("{percent} %"),
        "stab.left_s": _("about {n} s left"),
        "stab.left_min": _("about {n} min left"),
        "stab.cancel": _("Cancel"),
        "stab.cancelled": _("It was cancelled. No label was changed."),
        "stab.failed": _("It failed."),
        "stab.with": _("{method}, {value}"),
        "stab.with_window": _("window {n}"),
        "stab.with_alpha": _("alpha {n}"),
        "stab.with_motion": _("motion compensated"),
        "stab.view": _("What is shown"),
        "stab.before": _("Before"),
        "stab.both": _("Both"),
        "stab.after": _("After"),
        "stab.hold": _("hold to see before"),
        "stab.figures": _("Before and after"),
        "stab.instability": _("Instability"),
        "stab.instability_title": _(
            "1 − IoU of a frame with the one before it, with the motion of the picture taken out"
        ),
        "stab.iou": _("IoU of neighbours"),
        "stab.iou_title": _("Of a frame with the one before it, motion included"),
        "stab.truth": _("Mean IoU with ground truth"),
        "stab.truth_title": _("On the frames with hidden ground truth"),
        "stab.better": _("{percent} % steadier"),
        "stab.worse": _("{percent} % less steady"),
        "stab.same": _("as steady as before"),
        "stab.changed": _("{n} of {frames} frames change"),
        "stab.layers": _("Instability by class and track"),
        "stab.layer_more": _("and {n} more"),
        "stab.loose": _("{name}, no track"),
        "stab.curve": _("Instability from frame to frame"),
        "stab.curve_here": _("Frame {n}: {before} before, {after} after"),
        "stab.curve_none": _("Frame {n}: nothing to compare with"),
        "stab.limit": _("limit {value}"),
        "stab.previous": _("Previous changed frame"),
        "stab.next": _("Next changed frame"),
        "stab.changed_frames": _("Changed frames"),
        "stab.steady": _("Nothing to change. The labels are steady in these frames."),
        "stab.discard": _("Discard"),
        "stab.applied": _("{regions} on {frames} changed."),
        "stab.undo": _("Undo"),
        "stab.again": _("Stabilise again"),
        "stab.done": _("Close"),
        "stab.wipe": _("Border between before and after"),
        "stab.wipe_value": _("{percent} % before"),
        "stab.flag": _("Preview, not saved"),
        "stab.flag_outside": _("Outside of the preview"),
        "stab.flag_loading": _("Preview is loading"),
        "stab.flag_missing": _("No preview of this frame"),
    }


def counted_stabilise_strings() -> dict[str, dict[str, str]]:
    """Key → plural forms."""
    return {
        "stab.frames_of": plural_forms("{n} frame", "{n} frames"),
        "stab.kept_anchors": plural_forms("{n} anchor is not touched.", "{n} anchors are not touched."),
        "stab.kept_approved": plural_forms(
            "{n} approved frame is not touched.", "{n} approved frames are not touched."
        ),
        "stab.kept_locked": plural_forms("{n} locked class is left out.", "{n} locked classes are left out."),
        "stab.preview": plural_forms("Preview {n} frame", "Preview {n} frames"),
        "stab.skipped": plural_forms(
            "{n} frame was changed meanwhile and left alone.",
            "{n} frames were changed meanwhile and left alone.",
        ),
        "stab.would": plural_forms(
            "The preview is ready: {n} frame would change.", "The preview is ready: {n} frames would change."
        ),
        "stab.apply": plural_forms("Apply to {n} frame", "Apply to {n} frames"),
    }
