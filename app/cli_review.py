"""`pointillist diff` and `pointillist check`: bundles compared, and held against rules. Status 0, 1 or 2."""

from __future__ import annotations

import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from app.cli import Common
    from tasks.comparing import ClassRow, Diff, FrameDiff

PROJECT = "project:"
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the commands to the command line; `shared` adds the global options to a command."""
    main.add_command(shared(diff))
    main.add_command(shared(check))


class Trouble(click.ClickException):
    """Status 1 means that a difference was found; what could not be done at all has status 2."""

    exit_code = 2


@contextmanager
def trouble_is_2() -> Iterator[None]:
    """Our errors as one sentence on stderr and status 2."""
    from app.errors import PointillistError

    try:
        yield
    except PointillistError as exc:
        raise Trouble(exc.sentence) from exc


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--images", type=FOLDER, help="A folder with the frames' images, found by their content.")
@click.option(
    "--iou-below",
    type=click.FloatRange(0, 1),
    help="Leave out classes of a frame whose label maps agree at least so well.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every region.")
@click.pass_obj
def diff(common: Common, a: str, b: str, images: Path | None, iou_below: float | None, as_json: bool) -> None:
    """Say what changed from bundle A to bundle B, by frame and class.

    A and B are bundle files (.jsonl or .zip), or project:NAME for a project of the server or data folder. The
    status is 0 when they are equal, 1 when they differ, 2 when they cannot be compared.
    """
    with trouble_is_2(), ExitStack() as stack:
        import msgspec

        from tasks.bundle_index import IndexedBundle
        from tasks.bundle_maps import Pictures
        from tasks.comparing import compare

        paths = located(stack, common, (a, b))
        one, two = (
            stack.enter_context(IndexedBundle(path, name)) for path, name in zip(paths, (a, b), strict=True)
        )
        pictures = Pictures((one, two), images, common.settings().data)
        found = compare(one, two, pictures, iou_below=iou_below)
        if as_json:
            click.echo(msgspec.json.encode(found).decode())
        else:
            for line in told(found):
                click.echo(_printable(line))
    sys.exit(0 if found.equal else 1)


@click.command()
@click.argument("bundle")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="JSON; without it only certificates are looked at.",
)
@click.option("--images", type=FOLDER, help="A folder with the frames' images, found by their content.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def check(common: Common, bundle: str, rules: Path | None, images: Path | None, as_json: bool) -> None:
    """Hold a bundle against rules; one line for each violation.

    BUNDLE is a bundle file (.jsonl or .zip), or project:NAME. The status is 0 when every rule is kept, 1 when
    one is not, 2 when the bundle or the rules cannot be read.
    """
    with trouble_is_2(), ExitStack() as stack:
        import msgspec

        from tasks.bundle_index import IndexedBundle
        from tasks.bundle_maps import Pictures
        from tasks.checking import Rules, Summary, read_rules, violations
        from tasks.given_masks import notes_of

        wanted = Rules() if rules is None else read_rules(rules)
        opened = stack.enter_context(IndexedBundle(located(stack, common, (bundle,))[0], bundle))
        pictures = Pictures((opened,), images, common.settings().data)
        summary = Summary(bundle=bundle, frames=opened.frame_count, regions=opened.region_count)
        for found in violations(opened, wanted, pictures):
            summary.count += 1
            if as_json:
                summary.violations.append(found)
            else:
                click.echo(_printable(found.line()))
        summary.ok = not summary.count
        summary.notes = notes_of(pictures.masks.missing)
        if as_json:
            click.echo(msgspec.json.encode(summary).decode())
        else:
            click.echo(
                f"{summary.count} violations in {summary.frames} frames, {summary.regions} regions.", err=True
            )
            for note in summary.notes:
                click.echo(_printable(note), err=True)
    sys.exit(0 if summary.ok else 1)


def located(stack: ExitStack, common: Common, names: Sequence[str]) -> list[Path]:
    """The bundle files of `names`; projects are exported to a folder that `stack` removes.

    Raises Refused for a file that is not there, ApiError where the server cannot export.
    """
    from app.errors import Refused

    projects = [name for name in dict.fromkeys(names) if name.startswith(PROJECT)]
    found: dict[str, Path] = {}
    if projects:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointillist-")))
        with common.client() as client:
            for number, name in enumerate(projects):
                found[name] = folder / f"{number}.jsonl"
                card = client.project(name.removeprefix(PROJECT))
                body = {"format": "bundle", "media": False}
                job = client.wait(
                    client.call("POST", f"/projects/{card['project']['id']}/exports", json=body)
                )
                file = job["result"]["files"][0]["name"]
                client.download(f"/jobs/{job['id']}/files/{file}", found[name])
    for name in names:
        if name not in found:
            found[name] = Path(name)
            if not found[name].is_file():
                raise Refused(f"There is no bundle file {name}.")
    return [found[name] for name in names]


def _printable(line: str) -> str:
    """One line without control characters: names come from a file and must not steer the terminal."""
    return "".join("�" if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") else char for char in line)


def told(found: Diff) -> Iterator[str]:
    """The difference as lines for a terminal."""
    if found.equal:
        yield f"{found.a} and {found.b} are equal: {found.frames_a} frames."
        return
    yield f"{found.a} → {found.b}"
    yield from found.project
    for frame in found.frames:
        yield ""
        yield _frame_title(frame)
        yield from _table(frame.classes)
    if found.totals:
        yield ""
        differing = f"{len(found.frames)} of {max(found.frames_a, found.frames_b)} frames differ"
        yield f"In total, {differing} (regions: + added, - removed, ~ changed, > reclassified):"
        yield from _table(found.totals)
    if found.undrawn:
        yield ""
        yield (
            f"{found.undrawn} frames were compared by their geometry alone, without IoU: points are drawn from "
            "the image. Give bundles with images, or --images FOLDER."
        )
    yield from found.notes


def _frame_title(frame: FrameDiff) -> str:
    notes = list(frame.notes)
    if not frame.drawn:
        notes.append("geometry only")
    return f"{frame.asset} {frame.frame}" + (f": {', '.join(notes)}" if notes else "")


def _table(rows: Sequence[ClassRow]) -> Iterator[str]:
    """One line a class, in columns: regions added, removed, changed, reclassified; IoU; pixels."""
    width = max((len(row.class_name) for row in rows), default=0)
    for row in rows:
        counts = [
            f"{sign}{count}" if count else ""
            for sign, count in zip(
                "+-~>", (row.added, row.removed, row.changed, row.reclassified), strict=True
            )
        ]
        cells = " ".join(f"{cell:>5}" for cell in counts)
        iou = "IoU     –" if row.iou is None else f"IoU {row.iou:.3f}"
        pixels = "" if row.iou is None else f"  {row.pixels_a} → {row.pixels_b} px"
        yield f"  {row.class_name:<{width}} {cells}  {iou}{pixels}"
