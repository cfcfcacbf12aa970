"""LabelMe XML: one file an image; polygons, and masks as PNG files in a folder Masks beside Annotations."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from app.errors import Refused
from app.formats.truth.files import with_suffix
from app.formats.truth.json_source import folder_of, heads, image_name
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import PerFileReader, Sheet
from app.formats.truth.shapes import Piece, paste, png_mask, polygon
from app.formats.truth.xml_source import children, number, text_of, whole

_SIGNS = (b"<polygon", b"<segm>", b"<nrows>", b"<sourceAnnotation>")


def matches(files: Files) -> bool:
    return any(_looks_like(head) for _, head in heads(files, ".xml"))


def open_reader(files: Files) -> LabelmeXmlReader:
    return LabelmeXmlReader(files, with_suffix(files, ".xml"))


def _looks_like(head: bytes) -> bool:
    # PASCAL VOC's boxes begin alike.
    return b"<annotation>" in head and b"<bndbox>" not in head and any(sign in head for sign in _SIGNS)


class LabelmeXmlReader(PerFileReader):
    format = "labelme-xml"

    def read_frame(self, name: str) -> TruthFrame:
        top = list(children(self.files, name, "annotation"))
        facts = {element.tag: element for element in top if element.tag != "object"}
        stem = name.rpartition(".")[0]
        shown = image_name(_text(facts, "filename"))[0].rpartition("/")[2] or stem.rpartition("/")[2]
        folder = image_name(_text(facts, "folder"))[0]
        shown = f"{folder}/{shown}" if folder else shown
        try:
            size = facts["imagesize"]
            width, height = whole(text_of(size, "ncols"), "width"), whole(text_of(size, "nrows"), "height")
        except (KeyError, Refused):
            width, height = self.measured(shown)
        sheet = Sheet(TruthFrame(shown, width, height))
        for position, element in enumerate(top):
            if element.tag == "object" and text_of(element, "deleted") != "1":
                self._add(sheet, element, text_of(element, "id") or str(position), name)
        return sheet.done()

    def _add(self, sheet: Sheet, element: Element, number_: str, name: str) -> None:
        label = text_of(element, "name")
        said = f"object {number_[:40]} (“{label[:80]}”)"
        if element.find("segm") is None and element.find("polygon") is None:
            sheet.skip("object without an outline")
            return
        sheet.add(
            said,
            lambda: self.key_of(label),
            lambda w, h: self._draw(element, name, w, h),
            attributes=_attributes(element),
        )

    def _draw(self, element: Element, name: str, width: int, height: int) -> Piece:
        mask_name = text_of(element, "segm/mask")
        if mask_name:
            mask = png_mask(self.files.read(self._beside(mask_name, name)), (width, height))
            if mask.shape != (height, width):
                raise Refused(
                    f"its mask is {mask.shape[1]}×{mask.shape[0]} px, but the image {width}×{height}."
                )
            return paste(mask, 0, 0, width, height)
        points = [
            (number(text_of(point, "x"), "x"), number(text_of(point, "y"), "y"))
            for point in element.findall("polygon/pt")
        ]
        return polygon([points], width, height)

    def _beside(self, mask_name: str, name: str) -> str:
        last = image_name(mask_name)[0].rpartition("/")[2]
        folder = folder_of(name)
        wanted = folder.replace("Annotations/", "Masks/", 1) + last
        ends = [found for found in self.files.names if found == wanted]
        ends = ends or [found for found in self.files.names if f"/{found}".endswith(f"/{last}")]
        if not last or not ends:
            raise Refused(f"its mask file “{last}” is not in the source.")
        return ends[0]


def _text(facts: dict[str, Element], tag: str) -> str:
    return (facts[tag].text or "").strip() if tag in facts else ""


def _attributes(element: Element) -> dict[str, str]:
    """LabelMe's free text "a=1, b" as {"a": "1", "b": "true"}."""
    found: dict[str, str] = {}
    for part in text_of(element, "attributes").split(","):
        key, _, value = part.strip().partition("=")
        if key:
            found[key.strip()] = value.strip() or "true"
    if text_of(element, "occluded") == "yes":
        found["occluded"] = "true"
    return found
