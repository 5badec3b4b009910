"""Collects static files: our scripts and style sheets as one bundle each, hashed names, and compressed copies."""

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import zopfli.gzip
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import Storage as Source
from servestatic.compress import Compressor
from servestatic.storage import CompressedManifestStaticFilesStorage

# What a page links. Each becomes one file with everything that it imports.
ENTRIES = (
    *("chat/main.js", "chat/passkeys.js", "chat/picture.js", "chat/admin.js"),
    *("chat/common.css", "chat/page.css", "chat/account.css", "chat/admin.css"),
    "chat/lazy.css",  # what the page links together with the first of chat/lazy/
)
# What the page loads when it is first used, by the names in its import map, and the catalogues of languages. Each file
# here becomes one file too.
ALONE = ("chat/lazy/", "chat/languages/")


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it ships no types
    def post_process(self, paths: dict[str, tuple[Source, str]], *args: Any, **options: Any) -> Iterator[Any]:
        processed: dict[str, Any] = {name: source for name, source in paths.items() if not is_bundled(name)}
        for name in (*ENTRIES, *(name for name in paths if name.startswith(ALONE))):
            source, path = paths[name]
            processed[name] = (Bundled(source), path)
        return super().post_process(processed, *args, **options)  # type: ignore[no-any-return]

    def compress_files(self, paths: set[str]) -> Iterator[tuple[str, str]]:
        # Pages link the copies with hashed names. The others would double the time that compressing takes.
        return super().compress_files(paths - self.hashed_files.keys())  # type: ignore[no-any-return]

    def create_compressor(self, **kwargs: Any) -> Compressor:
        return SmallCompressor(**kwargs)


class SmallCompressor(Compressor):  # type: ignore[misc]
    """Compresses our own files by zopfli too, which takes a second when files are collected.

    Plain HTTP needs it, because browsers take Brotli over HTTPS alone.
    """

    def compress(self, path: str | os.PathLike[str]) -> list[str]:
        compressed: list[str] = super().compress(path)
        if Path(path).parent.name == "chat":
            for name in compressed:
                if name.endswith(".gz"):
                    written = os.stat(name)
                    Path(name).write_bytes(zopfli.gzip.compress(Path(path).read_bytes()))
                    os.utime(name, ns=(written.st_atime_ns, written.st_mtime_ns))
        return compressed


class Bundled:
    """A source of scripts and style sheets, each with everything that it imports, minified by esbuild."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def open(self, path: str) -> "ContentFile[bytes]":
        return ContentFile(_bundle(self._source.path(path)))


@cache
def _bundle(path: str) -> bytes:
    # Django opens each source several times. The import map of the page names what is external.
    external = ["--external:reconnecting-websocket", "--external:lazy/*"]
    options = ["--bundle", "--minify", "--format=esm", *external, "--log-level=error"]
    done = subprocess.run([find_esbuild(), path, *options], capture_output=True)
    if done.returncode:
        raise ImproperlyConfigured(f"esbuild could not bundle {path}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def find_esbuild() -> Path:
    """Return esbuild's program, which runs without Node. Raises ImproperlyConfigured when it is not installed."""
    for program in sorted(settings.BASE_DIR.glob("node_modules/@esbuild/*/bin/esbuild")):
        return Path(program)
    raise ImproperlyConfigured("esbuild is missing. Run script/setup, or: npm ci --ignore-scripts --omit=dev")


def is_bundled(name: str) -> bool:
    """Tell whether a file is one of ours that reaches the browser only inside a bundle."""
    return name.startswith("chat/") and name.endswith((".js", ".css"))
