"""What translated CT of head phantoms is worth: pixels, bone and air, and the fate of lesions, each beside plain baselines."""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.evaluation.images.lesions import contrasts, fate
from manikin.evaluation.images.paired import Differences
from manikin.evaluation.intervals import wilson
from translating.phantoms import WIDTH, hounsfield

LEAST = 10.0  # HU of contrast from which a lesion counts as shown
PLACES = 10  # without a lesion that each test phantom without one is asked for
BONE, AIR = 150.0, -80.0  # HU


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks over all images, in [0, 1]."""
    return float(2 * (a & b).sum() / max(int(a.sum() + b.sum()), 1))


def measured(ct: np.ndarray, data: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, Any]:
    """Figures of made images uint8 (n, 64, 64) of these rows."""
    made, truth = hounsfield(ct), hounsfield(data["ct"][rows])
    off = Differences(WIDTH)
    off.add(made[:, None], truth[:, None])
    label, brain = data["label"][rows], data["brain"][rows]
    found = fate(made, data["hu"][rows], data["lesion"][rows], least=LEAST, within=brain)  # what is there, not what noise shows
    is_normal = label == "normal"
    kinds = {}
    for kind in sorted(set(label[~is_normal])):
        of = (label == kind) & found.shown
        kinds[str(kind)] = {
            "shown": int(of.sum()),
            "kept": int(found.kept[of].sum()),
            "interval": [round(v, 3) for v in wilson(int(found.kept[of].sum()), int(of.sum()))],
            "median_share": round(float(np.median(found.share[of])), 3) if of.any() else None,
        }
    n_kept, n_shown = int(found.kept.sum()), int(found.shown.sum())
    return {
        **{name: round(value, 4) for name, value in off.means().items()},
        "mae_brain": round(float(np.abs(made - truth)[brain].mean()), 3),
        "dice_bone": round(dice(made > BONE, truth > BONE), 4),
        "dice_air": round(dice(made < AIR, truth < AIR), 4),
        "lesions": {
            "shown": n_shown,
            "kept": n_kept,
            "sensitivity": round(n_kept / max(n_shown, 1), 3),
            "interval": [round(v, 3) for v in wilson(n_kept, n_shown)],
            "by_kind": kinds,
            **false_lesions(made, data, rows),
        },
    }


def false_lesions(made: np.ndarray, data: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, Any]:
    """How often a place without a lesion has a contrast that is not there, asked as of lesions.

    The masks of lesions of other test phantoms are laid into the brains of those without one; a place is false where the made contrast is
    `LEAST` or more away from the phantom's own.
    """
    label, brain, masks = data["label"][rows], data["brain"][rows], data["lesion"][rows]
    pool = masks[label != "normal"]
    n, false = 0, 0
    for i in np.flatnonzero(label == "normal").tolist():
        inside = [mask for mask in pool if mask.any() and not (mask & ~brain[i]).any()][: i % 7 + PLACES][-PLACES:]
        places = np.stack(inside)
        ours = contrasts(np.repeat(made[i][None], len(places), 0), places, np.repeat(brain[i][None], len(places), 0))
        theirs = contrasts(np.repeat(data["hu"][rows[i]][None], len(places), 0), places, np.repeat(brain[i][None], len(places), 0))
        off = np.abs(ours - theirs)
        n, false = n + int(np.isfinite(off).sum()), false + int((off >= LEAST).sum())
    return {"places": n, "false": false, "false_interval": [round(v, 3) for v in wilson(false, n)]}


def by_intensity(data: dict[str, np.ndarray], train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each grey level of MR becomes the mean CT value that it had in training: no place, no shape."""
    source, target = data["mr"][train].ravel(), data["ct"][train].ravel().astype(float)
    n = np.bincount(source, minlength=256)
    mean = np.bincount(source, target, minlength=256) / np.maximum(n, 1)
    levels = np.interp(np.arange(256), np.flatnonzero(n), mean[n > 0])
    return np.round(levels[data["mr"][rows]]).astype(np.uint8)


def nearest(data: dict[str, np.ndarray], train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The CT of the training MR that is nearest, pixel by pixel."""
    ours = data["mr"][rows].reshape(len(rows), -1).astype(np.float32)
    theirs = data["mr"][train].reshape(len(train), -1).astype(np.float32)
    off = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)[None]
    return data["ct"][train][off.argmin(1)]


def mean_image(data: dict[str, np.ndarray], train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean training CT for everybody."""
    return np.repeat(np.round(data["ct"][train].mean(0)).astype(np.uint8)[None], len(rows), axis=0)
