"""Collects static files: JavaScript without comments, hashed names (in imports too), and compressed copies."""

from collections.abc import Iterator
from typing import Any

import rjsmin
from django.core.files.base import ContentFile
from django.core.files.storage import Storage as Source
from servestatic.storage import CompressedManifestStaticFilesStorage


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it ships no types
    # Rewrites `import … from "./x.js";` to the hashed name; otherwise a browser would mix versions after an upgrade.
    # It uses a regular expression, so every import must end with a semicolon and none may be in a comment. There must
    # be no cycles.
    support_js_module_import_aggregation = True

    def post_process(self, paths: dict[str, tuple[Source, str]], *args: Any, **options: Any) -> Iterator[Any]:
        ours = {name: (Minified(source), path) for name, (source, path) in paths.items() if is_our_script(name)}
        return super().post_process(paths | ours, *args, **options)  # type: ignore[no-any-return]


class Minified:
    """A source of JavaScript files without comments and needless spaces, which halves the bytes to transfer."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def open(self, path: str) -> "ContentFile[bytes]":
        with self._source.open(path) as file:
            return ContentFile(rjsmin.jsmin(file.read()))


def is_our_script(name: str) -> bool:
    return name.startswith("chat/") and name.endswith(".js")
