"""Templates against their Structs, the content policy, the sprite and the scripts, without a server."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest
from jinja2 import meta

import app.routes
from app import i18n
from app.routes import page
from app.routes.page import TEMPLATES, Page, environment
from app.routes.sign_in import local_path
from app.routes.workspace.strings import strings

STATIC = TEMPLATES.parent / "static"
BUILT_IN = {"_", "gettext", "ngettext"}


def page_classes() -> list[type[Page]]:
    for module in pkgutil.walk_packages(app.routes.__path__, "app.routes."):
        importlib.import_module(module.name)
    found: list[type[Page]] = []
    todo = [Page]
    while todo:
        for kind in todo.pop().__subclasses__():
            todo.append(kind)
            if hasattr(kind, "template"):
                found.append(kind)
    return found


def templates() -> list[str]:
    return sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))


def source(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")


def needs(name: str) -> set[str]:
    """The variables of a template together with those of what it extends and includes."""
    tree = environment().parse(source(name))
    found = meta.find_undeclared_variables(tree) - BUILT_IN - set(environment().globals)
    # What a child template imports at its top is there in its blocks, which `meta` does not follow.
    for names in re.findall(r"{% from \"[^\"]+\" import ([\w, ]+?)(?: with context)? %}", source(name)):
        found -= {part.strip() for part in names.split(",")}
    for other in re.findall(r"{% (?:extends|include) \"([^\"]+)\"", source(name)):
        found |= needs(other)
    return found


@pytest.mark.parametrize("kind", page_classes(), ids=lambda kind: kind.__name__)
def test_a_page_has_exactly_the_fields_its_template_uses(kind: type[Page]) -> None:
    assert needs(kind.template) == set(kind.__struct_fields__)


def test_every_template_belongs_to_a_page_or_is_used_by_one() -> None:
    owned = {kind.template for kind in page_classes()}
    used = {
        n
        for name in templates()
        for n in re.findall(r"{% (?:extends|include|from) \"([^\"]+)\"", source(name))
    }
    assert [name for name in templates() if name not in owned | used] == []


@pytest.mark.parametrize("name", templates())
def test_templates_hold_no_inline_style_or_script(name: str) -> None:
    text = source(name)
    assert not re.search(r"<[^>{]*\sstyle=", text)
    assert not re.search(r"<[^>{]*\son\w+=", text)
    assert "hx-on" not in text
    assert "|safe" not in text
    assert "javascript:" not in text
    for opening in re.findall(r"<script[^>]*>", text):
        assert "src=" in opening or 'type="application/json"' in opening


def test_scripts_never_parse_markup_of_users() -> None:
    for path in [STATIC / "app.js", *(STATIC / "pages").glob("*.js")]:
        assert not re.search(
            r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\(", path.read_text()
        )


def test_every_icon_is_in_the_sprite() -> None:
    known = set(re.findall(r'<symbol id="(\w+)"', (STATIC / "icons.svg").read_text()))
    used = {n for name in templates() for n in re.findall(r"icon\(\"(\w+)\"", source(name))}
    for path in STATIC.rglob("*.js"):
        if "vendor" not in path.parts:
            used |= {a or b for a, b in re.findall(r"\bicon\('(\w+)'|\bicon: '(\w+)'", path.read_text())}
    assert used - known == set()


def test_every_button_has_a_script_that_answers() -> None:
    text = "".join(p.read_text() for p in [STATIC / "app.js", *(STATIC / "pages").glob("*.js")])
    known = set(re.findall(r"register\('([\w-]+)'", text))
    used = {n for name in templates() for n in re.findall(r'data-do="([\w-]+)"', source(name))}
    assert used - known == set()


def test_every_string_a_script_asks_for_is_sent() -> None:
    sent = {key: set(re.findall(r'"(\w+)": (?:_|plural_forms)\(', source(key))) for key in templates()}
    base = sent["base.html"]
    of_page = {
        "library/index.html": ("library", "import", "upload"),
        "workspace/index.html": ("workspace", "workspace_tracks", "job_line", "export"),
        "imports/index.html": ("import_labels", "import_source", "import_mapping", "import_result", "upload"),
        "quality/index.html": ("quality",),
        "class_templates/index.html": (
            "class_templates",
            "class_changes",
            "class_draft",
            "class_editor",
            "class_list",
            "class_revisions",
            "class_rules",
            "rulebook",
        ),
    }
    for template, scripts in of_page.items():
        text = "".join((STATIC / "pages" / f"{name}.js").read_text() for name in scripts)
        asked = set(re.findall(r"\bt\('(\w+)'", text)) | set(re.findall(r"add\(cls, '\w+', '(\w+)'", text))
        asked |= set(re.findall(r"found\.set\(i, \['(\w+)'", text))
        assert asked - sent[template] - base == set()


def test_the_island_gets_the_sentences_it_knows() -> None:
    expected: dict[str, str] = {}
    for name, table in (
        ("strings", "STRING_KEYS"),
        ("strings_tracks", "TRACK_STRINGS"),
        ("strings_stabilise", "STABILISE_STRINGS"),
        ("strings_matte", "MATTE_STRINGS"),
        ("strings_timeline", "TIMELINE_STRINGS"),
        ("strings_review", "REVIEW_STRINGS"),
    ):
        script = (STATIC / "canvas" / f"{name}.js").read_text("utf-8")
        body = script[script.index(f"const {table}") : script.index("};")]
        expected |= dict(re.findall(r"'([\w.-]+)': '((?:[^'\\]|\\.)*)'", body))
    sent = strings()
    assert {key: sent.get(key) for key in expected} == expected
    plurals = {
        f"{key.rpartition('.')[0]}.{form}" for key in expected for form in ("few", "many") if ".one" in key
    }
    assert set(sent) == set(expected) | plurals


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/\t/x"]
)
def test_signing_in_never_leads_to_another_site(wanted: str) -> None:
    assert local_path(wanted) == "/"


def test_signing_in_leads_back_to_a_page_of_this_site() -> None:
    assert local_path("/workspace/x?frame=3") == "/workspace/x?frame=3"


def test_numbers_are_written_with_thin_spaces_and_never_rounded_up_to_all() -> None:
    assert page.as_count(3412) == "3\u202f412"
    assert page.as_percent(2639, 2640) == "99\u202f%"
    assert page.as_percent(0, 0) == "0\u202f%"
    assert page.as_seconds(64.25, 1) == "1:04.2"
    assert page.as_seconds(3600) == "1:00:00"
    assert page.as_bytes(212_400_000) == "212\u202fMB"
    assert page.as_number(30.0) == "30"


def test_an_unknown_language_falls_back_to_english() -> None:
    assert i18n.use("xx") == "en"
    assert i18n.gettext("Library") == "Library"


def test_vendored_htmx_comes_with_its_licence() -> None:
    assert (STATIC / "vendor" / "htmx.LICENSE.txt").read_text().startswith("Zero-Clause BSD")
    assert len(list((STATIC / "vendor").glob("*.js"))) == 1
