"""What the island says of mattes; part of `strings`."""

from __future__ import annotations

from app.i18n import _, plural_forms


def matte_strings() -> dict[str, str]:
    """Key → sentence, as in `strings`; English and keys are those of static/canvas/strings_matte.js."""
    return {
        "action.matte": _("Cut out a matte"),
        "matte.title": _("Matte"),
        "matte.close": _("Close the matte panel"),
        "matte.target": _("Target"),
        "matte.what_selected": _("Selected"),
        "matte.what_several": _("Objects"),
        "matte.a_track": _("track"),
        "matte.a_region": _("region on frame {n}"),
        "matte.objects": _("Objects to cut out"),
        "matte.whole_class": _("{name}, all together"),
        "matte.no_labels": _("Nothing is labelled in these frames."),
        "matte.together": _("Together in one matte"),
        "matte.find": _("Find by words"),
        "matte.find_hint": _("Find by words"),
        "matte.find_go": _("Find"),
        "matte.span": _("Frames {from}–{to}: {frames}"),
        "matte.no_anchors": _("no anchor"),
        "matte.track_first": _("Track first, then matte"),
        "matte.nothing_to_track": _(
            "There is no region to track from. Draw or find the object on one frame first."
        ),
        "matte.track_cancelled": _("Tracking was cancelled. What was tracked is kept."),
        "matte.no_selected": _(
            "Select a region on the canvas, or choose objects. A click and Enter make one."
        ),
        "matte.no_object": _("Choose an object."),
        "matte.no_range": _("No range is selected on the timeline."),
        "matte.no_output": _("Choose a file."),
        "matte.engine": _("Engine"),
        "matte.recommended": _("Recommended"),
        "matte.not_ready": _("Not ready: {names}"),
        "matte.needs_every": _("a mask on every frame"),
        "matte.needs_first": _("one mask is enough"),
        "matte.for_people": _("made for people"),
        "matte.wants_gpu": _("slow without a GPU"),
        "matte.licence": _("Licence:"),
        "matte.weights_licence": _("Weights:"),
        "matte.parameters": _("Parameters"),
        "matte.reset": _("As they were"),
        "matte.out_of_range": _("{title} must lie between {least} and {most}, in steps of {step}."),
        "matte.as_suits": _("as suits"),
        "matte.between": _("{least}–{most}"),
        "matte.steady": _("Steady where nothing moves"),
        "matte.steady_help": _("Alphas are averaged along time there."),
        "matte.files": _("Files"),
        "matte.background": _("Background"),
        "matte.sound": _("Keep the sound"),
        "matte.preview": _("Preview frame {n}"),
        "matte.previewing": _("Making the preview"),
        "matte.not_here": _("The target has no region on this frame."),
        "matte.preview_ready": _("The preview is ready."),
        "matte.preview_group": _("Preview"),
        "matte.leave_preview": _("Leave the preview"),
        "matte.hold": _("hold to see the original"),
        "matte.over_short": _("Behind it"),
        "matte.show_short": _("Shown"),
        "matte.over": _("What stands behind it"),
        "matte.over_checker": _("Checker"),
        "matte.over_colour": _("Colour"),
        "matte.over_original": _("Original"),
        "matte.over_alpha": _("Alpha"),
        "matte.original": _("Original"),
        "matte.matte": _("Matte"),
        "matte.wipe": _("Border between original and matte"),
        "matte.wipe_value": _("{percent} % original"),
        "matte.flag": _("Preview, not saved"),
        "matte.flag_loading": _("Preview is loading"),
        "matte.estimating": _("Working out what it takes"),
        "matte.takes_s": _("About {n} s"),
        "matte.takes_min": _("About {n} min"),
        "matte.takes_h": _("About {n} h"),
        "matte.memory": _("{n} of memory"),
        "matte.size": _("files up to {n}"),
        "matte.limits": _("What to know before"),
        "matte.start_none": _("Matte"),
        "matte.tracking": _("Tracking first"),
        "matte.running": _("Making the matte"),
        "matte.paused": _("The matte rests"),
        "matte.track_keeps": _("The matte begins by itself. After Cancel, what was tracked is kept."),
        "matte.cancel_keeps": _("You can go on with your work. After Cancel, finished frames are kept."),
        "matte.pause": _("Pause"),
        "matte.resume": _("Resume"),
        "matte.go_on": _("Go on with it"),
        "matte.failed": _("It failed."),
        "matte.cancelled": _("It was cancelled. Finished frames are kept."),
        "matte.ready": _("The matte is ready."),
        "matte.stopped": _("It was cancelled. These files are finished."),
        "matte.dtssd": _("{name}: dtSSD {value}"),
        "matte.notes": _("Notes on the matte"),
        "matte.other_files": _("Other files"),
        "matte.made_with": _("Made with {engine}. Licence: {licence}"),
        "matte.anew": _("Another matte"),
    }


def counted_matte_strings() -> dict[str, dict[str, str]]:
    """Key → plural forms."""
    return {
        "matte.anchors": plural_forms("{n} anchor, frame {frames}", "{n} anchors, frames {frames}"),
        "matte.missing": plural_forms("No mask on {n} frame: {frames}", "No mask on {n} frames: {frames}"),
        "matte.parameters_changed": plural_forms("Parameters, {n} changed", "Parameters, {n} changed"),
        "matte.missing_of": plural_forms(
            "{name}: no mask on {n} frame, {frames}", "{name}: no mask on {n} frames, {frames}"
        ),
        "matte.chunks": plural_forms("{n} chunk", "{n} chunks"),
        "matte.tiles": plural_forms("{n} tile a frame", "{n} tiles a frame"),
        "matte.limits_n": plural_forms("{n} thing to know before", "{n} things to know before"),
        "matte.start": plural_forms("Matte {n} frame", "Matte {n} frames"),
    }
