"""What a file of an image says of where it comes from. Knows no format."""

from __future__ import annotations

from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

SYNTHETIC = "SYNTHETIC image: made by a program; it shows no patient and is not for diagnosis."
TRANSLATED = "TRANSLATED image: made by a program of another image of the same subject; what it shows was not measured. Not for diagnosis."


class Origin(StrEnum):
    """Where an image comes from: made of nobody, made of somebody's image, or only written anew."""

    SYNTHETIC = "synthetic"
    TRANSLATED = "translated"
    REWRITTEN = "rewritten"


DESCRIPTIONS = {Origin.SYNTHETIC: SYNTHETIC, Origin.TRANSLATED: TRANSLATED}


def texts_of(how: str = "", *, origin: Origin = Origin.SYNTHETIC) -> dict[str, str]:
    """Texts by PNG's keywords (PNG specification, section 11.3.3.2).

    Parameters
    ----------
    how : how the image was made, in a sentence. origin : whom it shows, if anybody.
    """
    texts = {"Software": f"manikin {program_version()}"}
    if origin in DESCRIPTIONS:
        texts["Description"] = DESCRIPTIONS[origin]
    if how:
        texts["Comment"] = how
    return texts


def program_version() -> str:
    """The version of Manikin that is installed."""
    try:
        return version("manikin")
    except PackageNotFoundError:
        return "unknown"
