"""Options of commands whose labels are stabilised and measured in the same job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from app.i18n import gettext as _
from app.smoothing import METHODS


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --stabilise, --no-motion and --measure to a command."""
    for option in (
        click.option("--measure", is_flag=True, help="Then measure how stable the labels are."),
        click.option("--no-motion", is_flag=True, help="Stabilise without following the motion."),
        click.option(
            "--stabilise",
            metavar="FILTER[:N]",
            help="Then stabilise what flickers: average:5, median:7, exponential:0.3.",
        ),
    ):
        command = option(command)
    return command


def then_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """What follows, as the API wants it. Raises UsageError for a filter that is not written as FILTER[:N]."""
    then: dict[str, Any] = {"measure": wanted["measure"]}
    if wanted["stabilise"] is None:
        if wanted["no_motion"]:
            raise click.UsageError(_("--no-motion needs --stabilise."))
        return then
    name, colon, number = wanted["stabilise"].partition(":")
    smoothing: dict[str, Any] = {"method": name, "motion": not wanted["no_motion"]}
    method = METHODS.get(name)
    if colon and method is not None:
        try:
            smoothing[method.parameter] = int(number) if method.parameter == "window" else float(number)
        except ValueError:
            raise click.UsageError(_("“{text}” is no FILTER[:N].").format(text=wanted["stabilise"])) from None
    return {**then, "smoothing": smoothing}
