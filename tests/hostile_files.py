"""A corpus of hostile files: what each is called, its bytes, and what has to become of it."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngInfo

MARKUP = b"<script>alert(document.domain)</script>"


def picture(kind="PNG", size=(64, 48), *, colour=(200, 30, 30), **options):
    """Return the bytes of a plain image."""
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, kind, **options)
    return made.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(width=60_000, height=60_000):
    """Return a PNG of a few kilobytes that takes gigabytes when it is decoded."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def jpeg_bomb():
    """Return a JPEG of 700 bytes whose head says that it has four thousand million pixels."""
    content = bytearray(picture("JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(content)


def wide_gif_bomb():
    """Return an animation of small frames, each of which is laid on a large canvas."""
    content = bytearray(gif_bomb(150))
    content[6:10] = struct.pack("<HH", 4000, 4000)
    return bytes(content)


def png_with_a_bomb_in(chunk):
    """Return a small PNG with a text or a colour profile that unfolds to 200 megabytes."""
    content = picture()
    return content[:33] + png_chunk(chunk, b"k\0\0" + compressed_zeros()) + content[33:]


@cache
def compressed_zeros():
    # The first level takes half the time.
    return zlib.compress(bytes(200_000_000), 1)


def gif_bomb(frames=600):
    """Return an animation of more frames than anybody needs."""
    made = io.BytesIO()
    pages = [Image.new("P", (8, 8), number % 200) for number in range(frames)]
    pages[0].save(made, "GIF", save_all=True, append_images=pages[1:], optimize=False)
    return made.getvalue()


def with_gps(kind="JPEG"):
    """Return a photo that says where it was taken, and that it has to be turned."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "Secret place"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    made = io.BytesIO()
    image = Image.new("RGB", (64, 48), (10, 20, 30))
    if kind == "PNG":
        texts = PngInfo()
        texts.add_text("Comment", "Secret comment")
        texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>Secret xmp</x:xmpmeta>")
        image.save(made, kind, exif=exif, pnginfo=texts)
    elif kind == "WEBP":
        image.save(made, kind, exif=exif, xmp=b"<x:xmpmeta>Secret xmp</x:xmpmeta>")
    else:
        image.save(made, kind, exif=exif, comment=b"Secret comment")
    return made.getvalue()


class HostileFile(NamedTuple):
    name: str
    content: Callable[[], bytes]
    # The HTTP status, and the type of a file that is accepted.
    status: int
    type: str = ""


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
FILES = [
    HostileFile("empty.png", lambda: b"", 400),
    HostileFile("bomb.png", png_bomb, 413),
    HostileFile("frames.gif", gif_bomb, 413),
    HostileFile("bomb.jpg", jpeg_bomb, 413),
    HostileFile("canvas.gif", wide_gif_bomb, 413),
    HostileFile("text bomb.png", lambda: png_with_a_bomb_in(b"zTXt"), 400),
    HostileFile("profile bomb.png", lambda: png_with_a_bomb_in(b"iCCP"), 400),
    HostileFile("cut.png", lambda: picture()[:60], 400),
    HostileFile("cut.jpg", lambda: picture("JPEG")[:40], 400),
    HostileFile("head only.gif", lambda: b"GIF89a", 400),
    HostileFile("no size.png", lambda: png_bomb(0, 0), 400),
    HostileFile("markup.png", lambda: MARKUP, 200, "text/html"),
    HostileFile("drawing.svg", lambda: SVG, 200, "image/svg+xml"),
    HostileFile("drawing.png", lambda: b"\xef\xbb\xbf \n<?xml version='1.0'?>" + SVG, 200, "image/svg+xml"),
    HostileFile("image and page.png", lambda: picture() + MARKUP, 200, "image/png"),
    HostileFile("image and page.gif", lambda: picture("GIF") + MARKUP, 200, "image/gif"),
    HostileFile("image and archive.jpg", lambda: picture("JPEG") + b"PK\x03\x04" + MARKUP, 200, "image/jpeg"),
    HostileFile(
        "text in a comment.png",
        lambda: picture()[:33] + png_chunk(b"tEXt", b"Comment\0" + MARKUP) + picture()[33:],
        200,
        "image/png",
    ),
    HostileFile("page.pdf", lambda: b"%PDF-1.4\n" + MARKUP, 200, "application/pdf"),
    HostileFile("image.jpg", lambda: b"MZ\x90\x00" + bytes(100), 200, "application/x-executable"),
    HostileFile("RIFF.webp", lambda: b"RIFF\x10\x00\x00\x00WEBPVP8 ", 400),
    HostileFile("binary.txt", lambda: b"plain\x00text", 200, "application/octet-stream"),
    HostileFile("latin1.txt", lambda: "déjà vu".encode("latin-1") * 20, 200, "application/octet-stream"),
]

# Names as they are sent, and as they are stored.
NAMES = [
    ("../../etc/passwd", "passwd"),
    ("C:\\Users\\bob\\notes.txt", "notes.txt"),
    ("/", "file"),
    ("..", "file"),
    ("", "file"),
    (".htaccess", "htaccess"),
    ("a\x00b\r\n\x1b[31m.txt", "ab[31m.txt"),
    ("invoice\u202egpj.exe", "invoicegpj.exe"),
    ("zero\u200bwidth\ufeff.txt", "zerowidth.txt"),
    ("\ud800broken.txt", "broken.txt"),
    ('<img src=x onerror="alert(1)">.png', "_img src=x onerror=_alert(1)__.png"),
    ("line\u2028break.txt", "linebreak.txt"),
    ("two   spaces .txt ", "two spaces .txt"),
    ("e\u0301te\u0301.txt", "été.txt"),
    ("写真 👩‍🍳.jpg", "写真 👩‍🍳.jpg"),
    ("x" * 500 + ".tar", "x" * 116 + ".tar"),
    ("." + "y" * 500, "y" * 120),
]
