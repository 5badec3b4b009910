"""Re-encodes an image without its metadata, and makes its thumbnail.

A program of its own with limits on memory, time and file size, because a decoder that reads a hostile file may use any
amount of them. It is run by `pictures`, imports nothing of ours, and answers with one line of JSON.
"""

import json
import resource
import sys
from contextlib import suppress
from typing import Any

# Checked before anything is decoded: the pixels of an image, of all frames of an animation, and its frames.
MAX_PIXELS = 50_000_000
MAX_ANIMATED_PIXELS = 60_000_000
MAX_FRAMES = 500
# Twice the size of the box in which the page shows it, for screens with two pixels per CSS pixel.
THUMBNAIL = (640, 480)
# A user's picture: four times the size of the box in which the page shows it.
SQUARE = (128, 128)
MEMORY_BYTES = 1280 * 1024 * 1024
CPU_SECONDS = 20
FILE_BYTES = 256 * 1024 * 1024
OPEN_FILES = 64
# What an image needs to be shown. Everything else that a decoder found is left out.
KEPT = ("transparency", "background")


def main(source: str, target: str, thumbnail: str = "") -> dict[str, Any]:
    """Write the clean image and its thumbnail into these files, and return its type and size, or an `error`.

    Without a file for the thumbnail, `target` gets the middle of the image as a small square.
    """
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    # Imported under the limits.
    from PIL import Image, ImageOps, ImageSequence

    # The sizes are checked below, by a sentence in place of a warning.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(source, formats=["PNG", "JPEG", "GIF", "WEBP"]) as image:
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            width, height = image.size
            frames = getattr(image, "n_frames", 1) if kind in ("GIF", "WEBP") else 1
            most = MAX_PIXELS if frames == 1 else MAX_ANIMATED_PIXELS
            if width * height * frames > most or frames > MAX_FRAMES:
                return {"error": "too large"}
            if not thumbnail:
                first = _plain(_in_srgb(ImageOps.exif_transpose(image)))
                square = first.convert("RGBA" if _has_alpha(first) else "RGB")
                ImageOps.fit(square, SQUARE).save(target, format="WEBP", quality=85)
                return {"type": "image/webp", "width": SQUARE[0], "height": SQUARE[1]}
            if frames > 1:
                pages = [_plain(frame) for frame in ImageSequence.Iterator(image)]
                durations = [page.info.pop("duration", 0) for page in pages]
                first, loop = pages[0], image.info.get("loop")
                options = {"save_all": True, "append_images": pages[1:], "duration": durations}
                first.save(target, format=kind, **options, **({} if loop is None else {"loop": loop}))
            else:
                first = _plain(_in_srgb(ImageOps.exif_transpose(image)))
                _save(first, target, kind)
            small = first.convert("RGBA" if _has_alpha(first) else "RGB")
            small.thumbnail(THUMBNAIL)
            small.save(thumbnail, format="WEBP", quality=80)
            return {"type": f"image/{kind.lower()}", "width": first.width, "height": first.height}
    except (MemoryError, OSError, ValueError, SyntaxError, ArithmeticError, LookupError, TypeError, AttributeError):
        return {"error": "damaged"}


def _plain(image: Any) -> Any:
    """Return a copy of which only the pixels, and what is needed to show them, are left."""
    plain = image.copy()
    plain.info = {key: value for key, value in image.info.items() if key in (*KEPT, "duration")}
    return plain


def _in_srgb(image: Any) -> Any:
    """Return an image with the colours that it has by its colour profile, which is a place for metadata too."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    from io import BytesIO

    from PIL import ImageCms

    with suppress(ImageCms.PyCMSError, OSError, ValueError):
        mode = image.mode if image.mode == "RGBA" else "RGB"
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(BytesIO(profile)), target, outputMode=mode)
    return image


def _save(image: Any, path: str, kind: str) -> None:
    match kind:
        case "JPEG":
            image.save(path, format=kind, quality=90)
        case "WEBP":
            image.save(path, format=kind, quality=90)
        case _:
            image.save(path, format=kind)


def _has_alpha(image: Any) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4])))
