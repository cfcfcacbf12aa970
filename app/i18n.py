"""Every string a person reads goes through here. Catalogues are `app/locale/<language>.po`; English is the
source.

The language of a request is held in a context variable, so that one Jinja environment serves all languages.
"""

from __future__ import annotations

import io
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LOCALE = Path(__file__).parent / "locale"
SOURCE = "en"
NAMES = {"en": "English", "ru": "Русский", "zh": "中文"}

_language: ContextVar[str] = ContextVar("language", default=SOURCE)


def languages() -> dict[str, str]:
    """Code → own name of every language there is a catalogue for, English first."""
    codes = [SOURCE, *sorted(p.stem for p in LOCALE.glob("*.po"))]
    return {code: NAMES.get(code, code) for code in codes}


@cache
def _catalogue(language: str) -> NullTranslations:
    path = LOCALE / f"{language}.po"
    if language == SOURCE or not path.is_file():
        return NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def use(language: str) -> str:
    """Choose the language of this request; an unknown one falls back to English. Returns the one chosen."""
    chosen = language if language in languages() else SOURCE
    _language.set(chosen)
    return chosen


def current() -> str:
    return _language.get()


def gettext(message: str) -> str:
    return _catalogue(_language.get()).ugettext(message)


def ngettext(one: str, many: str, n: int) -> str:
    return _catalogue(_language.get()).ungettext(one, many, n)


def plural_forms(one: str, many: str) -> dict[str, str]:
    """The forms of a plural by CLDR category, for scripts that choose one with `Intl.PluralRules`.

    1, 2, 5 and 100 stand for the categories one, few, many and other of every language we ship.
    """
    samples = {"one": 1, "few": 2, "many": 5, "other": 100}
    return {category: ngettext(one, many, n) for category, n in samples.items()}


_ = gettext
