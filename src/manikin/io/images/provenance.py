"""What a file of an image says of where it comes from. Knows no format."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

SYNTHETIC = "SYNTHETIC image: made by a program; it shows no patient and is not for diagnosis."


def texts_of(how: str = "", *, is_synthetic: bool = True) -> dict[str, str]:
    """Texts by PNG's keywords (PNG specification, section 11.3.3.2).

    Parameters
    ----------
    how : how the image was made, in a sentence. is_synthetic : False for images that were only written anew.
    """
    texts = {"Software": f"manikin {program_version()}"}
    if is_synthetic:
        texts["Description"] = SYNTHETIC
    if how:
        texts["Comment"] = how
    return texts


def program_version() -> str:
    """The version of Manikin that is installed."""
    try:
        return version("manikin")
    except PackageNotFoundError:
        return "unknown"
