"""One PNG, JPEG, TIFF or BMP file to an array and back, through pillow. Knows no labels.

Sizes are checked before a pixel is decoded; whatever pillow makes of a damaged file, nothing but `Unreadable` comes out.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.errors import MissingExtraError
from manikin.io.images.files import Unreadable, quiet
from manikin.io.images.sources import Pixels

KINDS = ("PNG", "JPEG", "TIFF", "BMP", "DIB")  # a camera's MPO is opened as a JPEG
MAX_PIXELS = 89_478_485  # pillow's own bound: 256 MiB of colour
ALPHA = "an alpha channel, which is left out"
SHALLOW = "16 bits a colour, of which 8 are read"
TURNED = "an orientation that was applied (EXIF)"
NO_NUMBER = "pixels without a number (NaN), which are read as 0"


def pillow() -> Any:
    """The package pillow.

    Raises
    ------
    MissingExtraError : it is not installed.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtraError("Images need the package 'pillow'. Install it with: pip install 'manikin[images]'") from error
    return Image


def decode(path: Path) -> tuple[Pixels, tuple[str, ...]]:
    """The image in a file, uint8, uint16, int32 or float32 (channels, height, width) with 1 or 3 channels, and what was left out of it.

    Raises
    ------
    Unreadable : it is no image, damaged, cut short, of several pages, or of more pixels than `MAX_PIXELS`.
    """
    image_module = pillow()
    try:
        with quiet():
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            with path.open("rb") as file, image_module.open(file, formats=KINDS) as image:
                return _decoded(image)
    except Unreadable:
        raise
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning):
        raise Unreadable(f"declares more than {MAX_PIXELS:,} pixels") from None
    except image_module.UnidentifiedImageError:
        raise Unreadable("is no PNG, JPEG, TIFF or BMP image") from None
    except PermissionError:
        raise Unreadable("cannot be opened: no permission") from None
    except FileNotFoundError:
        raise Unreadable("is not there") from None
    except Exception:  # foreign bytes: pillow's decoders raise whatever a damaged file leads them to
        raise Unreadable("is damaged or cut short") from None


def _decoded(image: Any) -> tuple[Pixels, tuple[str, ...]]:
    from PIL import ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"declares more than {MAX_PIXELS:,} pixels")
    n_pages = getattr(image, "n_frames", 1)
    if n_pages > 1 and image.format != "MPO":
        raise Unreadable(f"holds {n_pages} pages; save each as a file of its own")
    remarks: list[str] = []
    if _is_deep_colour(image):
        remarks.append(SHALLOW)
    image.load()
    orientation = image.getexif().get(0x0112, 1)
    if orientation in range(2, 9):
        image = ImageOps.exif_transpose(image)
        remarks.append(TURNED)
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        remarks.append(ALPHA)
    pixels = _array(image)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        pixels = np.where(np.isfinite(pixels), pixels, np.float32(0))
        remarks.append(NO_NUMBER)
    return np.ascontiguousarray(pixels), tuple(remarks)


def _is_deep_colour(image: Any) -> bool:
    """Whether a PNG has 16 bits for each of three colours: pillow's raw mode says so before it is decoded."""
    return image.format == "PNG" and any("16" in str(part) and "RGB" in str(part) for tile in image.tile for part in tile)


def _array(image: Any) -> Pixels:
    """(channels, height, width), as its mode says."""
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[None]
    if mode == "I":
        whole = np.asarray(image, dtype=np.int32)[None]
        return whole.astype(np.uint16) if whole.min() >= 0 and whole.max() <= 65_535 else whole
    if mode == "F":
        return np.asarray(image, dtype=np.float32)[None]
    if mode in ("1", "L"):
        return np.asarray(image.convert("L"), dtype=np.uint8)[None]
    if mode in ("LA", "La"):
        return np.asarray(image.convert("LA"), dtype=np.uint8)[None, :, :, 0]
    colour = np.asarray(image.convert("RGBA").convert("RGB") if mode in ("P", "PA", "RGBa") else image.convert("RGB"), dtype=np.uint8)
    return np.moveaxis(colour, -1, 0)


def encode(pixels: Pixels, path: Path, texts: dict[str, str]) -> None:
    """Writes an image (1 or 3, height, width): uint8 and uint16 grey as PNG, other numbers as TIFF, with texts in either.

    Parameters
    ----------
    texts : by PNG's keywords (Software, Description, …); in a TIFF its tags Software and ImageDescription.
    """
    image_module = pillow()
    if path.suffix == ".png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for key, value in texts.items():
            info.add_itxt(key, value) if any(ord(sign) > 126 for sign in value) else info.add_text(key, value)
        _image(image_module, pixels).save(path, format="PNG", pnginfo=info)
        return
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[305] = texts.get("Software", "")
    tags[270] = texts.get("Description", "")
    _image(image_module, pixels).save(path, format="TIFF", tiffinfo=tags)


def _image(image_module: Any, pixels: Pixels) -> Any:
    whole = np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    return image_module.fromarray(whole)
