"""Makes the catalogues of the page's scripts from those of gettext: `python -m multichat.catalogues`.

A page in another language than English loads one of them before its modules (static/chat/model/language.js).
"""

import gettext
import json
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parent.parent
LOCALE = BASE / "locale"
STATIC = BASE / "static" / "chat" / "languages"
# The plural categories of `Intl.PluralRules` in the order of the forms in the catalogue of gettext.
CATEGORIES = {"de": ("one", "other")}


def make(language: str) -> str:
    """Return the script that gives a page its catalogue."""
    with (LOCALE / language / "LC_MESSAGES" / "djangojs.mo").open("rb") as file:
        stored: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    catalogue: dict[str, Any] = {}
    for key, text in sorted(stored.items(), key=str):
        if isinstance(key, tuple):
            sentence, form = key
            catalogue.setdefault(sentence, {})[CATEGORIES[language][form]] = text
        elif key:
            catalogue[key] = text
    return f"globalThis.multichatCatalogue = {json.dumps(catalogue, ensure_ascii=False, indent=1)};\n"


def main() -> None:
    STATIC.mkdir(exist_ok=True)
    for language in CATEGORIES:
        (STATIC / f"{language}.js").write_text(make(language))


if __name__ == "__main__":
    main()
