"""Which frames of DICOM files make one image or volume, and in which order. Opens no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manikin.io.images.dicom.headers import PATIENT, Header

UNEVEN = "slices at uneven distances"
UNPLACED = "slices without a place, taken in the order of their numbers"
EVEN = 0.02  # relative difference of distances between slices that is even


@dataclass(frozen=True)
class Item:
    """One image or volume: the frames that make it, (file, frame), and where they lie."""

    name: str
    frames: tuple[tuple[str, int], ...]
    header: Header
    is_volume: bool = False
    step: float | None = None
    remarks: tuple[str, ...] = ()


def images_of(headers: Sequence[Header]) -> list[Item]:
    """An item for each frame; a frame of several is called by its file and number, counted from 1."""
    items = []
    for header in headers:
        for frame in range(header.n_frames):
            name = header.file if header.n_frames == 1 else f"{header.file}#{frame + 1}"
            items.append(Item(name, ((header.file, frame),), header))
    return items


def volumes_of(headers: Sequence[Header]) -> list[Item]:
    """An item for each series and kind of slice (size, orientation), called by its first file; and for each file of several frames."""
    items = [
        Item(header.file, tuple((header.file, frame) for frame in range(header.n_frames)), header, is_volume=True, step=header.slice_step)
        for header in headers
        if header.n_frames > 1
    ]
    groups: dict[tuple[object, ...], list[Header]] = {}
    for header in headers:
        if header.n_frames == 1:
            groups.setdefault((header.series, header.attributes.get(PATIENT), *header.like), []).append(header)
    for group in groups.values():
        ordered, step, remarks = _ordered(group)
        items.append(Item(ordered[0].file, tuple((one.file, 0) for one in ordered), ordered[0], is_volume=True, step=step, remarks=remarks))
    return sorted(items, key=lambda item: item.name)


def _ordered(group: list[Header]) -> tuple[list[Header], float | None, tuple[str, ...]]:
    """The slices of a volume in their order in space, mm between them, and what is odd about them."""
    if any(one.position is None for one in group):
        return sorted(group, key=lambda one: (one.number, one.file)), group[0].slice_step, (UNPLACED,) if len(group) > 1 else ()
    ordered = sorted(group, key=lambda one: (one.position, one.number, one.file))
    steps = np.diff([one.position for one in ordered])
    if not len(steps):
        return ordered, group[0].slice_step, ()
    step = float(np.median(steps))
    is_even = step > 0 and bool((np.abs(steps - step) <= EVEN * step + 1e-3).all())
    return ordered, round(step, 6) if step > 0 else None, () if is_even else (UNEVEN,)


def without_gaps(patients: list[str]) -> list[str]:
    """Patient keys, each image without one being a patient of her own."""
    return [patient or f"unknown {i + 1}" for i, patient in enumerate(patients)]
