"""What the flicker row and the review say; part of `strings`."""

from __future__ import annotations

from app.i18n import _, plural_forms


def review_strings() -> dict[str, str]:
    """Key → sentence, as in `strings`; English and keys are those of static/canvas/strings_review.js."""
    return {
        "action.next_review": _("Next frame of the review queue"),
        "flicker.name": _("Flicker"),
        "flicker.of": _("Flicker: {name}"),
        "flicker.row": _("Flicker of {name}"),
        "flicker.choose": _("Choose what the row shows"),
        "flicker.shows": _("The row shows"),
        "flicker.all": _("All that is labelled"),
        "flicker.class": _("The current class"),
        "flicker.selected": _("What is selected"),
        "flicker.measure_of": _("Change since the frame before"),
        "flicker.warped": _("Without motion: flicker"),
        "flicker.raw": _("With motion"),
        "flicker.none_yet": _("Not measured yet"),
        "flicker.measure": _("Measure"),
        "flicker.measuring": _("Measuring"),
        "flicker.measuring_of": _("Measuring, {n} of {m} frames"),
        "flicker.again": _("Measure again"),
        "flicker.failed": _("The frames could not be measured."),
        "flicker.unread": _("The flicker could not be read."),
        "flicker.retry": _("Try again"),
        "flicker.not_measured": _("Flicker is not measured here."),
        "flicker.cut": _("Another shot begins here."),
        "flicker.no_before": _("Nothing on the frame before to compare with."),
        "flicker.is": _("Flicker {value}, limit {limit}"),
        "flicker.is_over": _("Flicker {value}, above the limit of {limit}"),
        "flicker.raw_is": _("Change {value}, with motion"),
        "flicker.worst_of": _("The worst of frames {n} to {m} is frame {at}."),
        "flicker.most": _("Most of it: {name}"),
        "flicker.stale": _("Changed since it was measured"),
        "flicker.none_over": _("No other frame flickers above the limit."),
        "review.panel": _("Review"),
        "review.next": _("Next to review"),
        "review.go": _("Next"),
        "review.why": _("Why this frame"),
        "review.aim": _("Select what this speaks of"),
        "review.how": _("Correct it, or approve it; then go on."),
        "review.approved": _("Approved. Go on with the next one."),
        "review.approve": _("Approve"),
        "review.close": _("Close the review"),
        "review.none": _("Nothing left to review"),
        "review.seen": _("{seen} of {frames} frames were opened, {percent} %."),
        "review.open_queue": _("Open the review queue"),
    }


def counted_review_strings() -> dict[str, dict[str, str]]:
    """Key → plural forms."""
    return {
        "review.more": plural_forms("{n} more reason", "{n} more reasons"),
        "flicker.changed": plural_forms("{n} frame changed since", "{n} frames changed since"),
    }
