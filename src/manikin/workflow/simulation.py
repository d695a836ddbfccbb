"""Simulated images written as a folder with labels.csv, boxes and masks, each file marked as simulated. Knows no physics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.errors import parameter_error
from manikin.io.images.pillow import encode, pillow
from manikin.io.images.provenance import texts_of
from manikin.release.manifest import versions
from manikin.simulation.imaging import SIMULATORS
from manikin.workflow.output import check_free, whole_folder, write_json
from manikin.workflow.stages import Silent, Stages, Watcher

FORMAT, DOCUMENT, LABELS = "manikin-simulation", "simulation.json", "labels.csv"
LESIONS, MASKS = (
    "truth/lesions.csv",
    "truth/masks.npz",
)  # in a folder of their own: two CSV files side by side would be linked tables
MOST = 100_000


@dataclass(frozen=True)
class SimulatedFolder:
    """A folder of simulated images; `labels` counts the images of each label."""

    out: Path
    files: dict[str, Path]
    n: int
    labels: dict[str, int]


def simulate_images(
    kind: str,
    n: int,
    out: str | Path,
    *,
    size: int = 128,
    seed: int = 0,
    labels: Sequence[str] = (),
    force: bool = False,
    watcher: Watcher | None = None,
) -> SimulatedFolder:
    """Writes n simulated images of a kind as PNG, with labels.csv, truth/lesions.csv (boxes), truth/masks.npz and simulation.json.

    Parameters
    ----------
    kind : a name of `manikin list simulators`. size : pixels along each edge.
    labels : draw evenly from these; from all of the kind's when empty. Repeat one to draw it more often.

    Raises
    ------
    InputError : a kind, label, number or size that there is not, or a place that is taken.
    """
    from manikin.simulation.imaging.simulators import check_size

    target = Path(out)
    simulator = SIMULATORS.load(kind)
    check_size(size)
    if not 1 <= n <= MOST:
        raise parameter_error("n", "simulate", f"a whole number from 1 to {MOST:,}", n)
    if seed < 0:
        raise parameter_error("seed", "simulate", "a whole number, 0 or above", seed)
    for label in labels:
        if label not in simulator.labels:
            raise parameter_error("label", f"simulate images {kind}", f"one of {', '.join(simulator.labels)}", label)
    pillow()
    check_free(target, force=force)
    stages = Stages(watcher or Silent())
    with whole_folder(target, force=force) as partial:
        with stages.stage("simulate", f"Simulating {n:,} images ({kind}, {size} x {size} pixels)"):
            made = (simulator.image(size, seed, i, kind=kind, labels=labels or None) for i in range(n))
            rows, boxes, masks = _write(partial, kind, stages, made, n)
        table = pd.DataFrame(rows)
        table.to_csv(partial / LABELS, index=False)
        (partial / LESIONS).parent.mkdir()
        pd.DataFrame(boxes, columns=["file", "kind", "top", "bottom", "left", "right", "n_pixels"]).to_csv(
            partial / LESIONS, index=False
        )
        np.savez_compressed(partial / MASKS, masks=np.stack(masks), files=np.array([row[next(iter(row))] for row in rows]))
        document = {
            "format": FORMAT,
            "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
            "kind": kind,
            "modality": simulator.modality,
            "n": n,
            "size": size,
            "seed": seed,
            "labels": list(labels or simulator.labels),
            "note": "Simulated: made by physical models of phantoms. No image shows a patient; not for diagnosis.",
        }
        write_json(partial / DOCUMENT, document)
    counts = {str(label): int(count) for label, count in table["label"].value_counts().sort_index().items()}
    files = {"labels": target / LABELS, "lesions": target / LESIONS, "masks": target / MASKS, "how": target / DOCUMENT}
    return SimulatedFolder(target, files, n, counts)


def _write(
    folder: Path, kind: str, stages: Stages, made: Iterator[Any], n: int
) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]], list[Any]]:
    texts = texts_of(f"Simulated by a physical model ({kind}); it shows no patient.")
    rows: list[dict[str, Any]] = []
    boxes: list[tuple[Any, ...]] = []
    masks: list[Any] = []
    digits = max(5, len(str(n)))
    for i, one in enumerate(made):
        row: dict[str, Any] = {}
        for column, image in one.images.items():
            name = f"{kind if column == 'file' else column}/{i + 1:0{digits}d}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            encode(np.round(np.asarray(image) * 255).astype(np.uint8), folder / name, texts)
            row[column] = name
        first = next(iter(row.values()))
        rows.append(row | {"label": one.label, "origin": "simulated"} | dict(one.attributes))
        mask = np.zeros(next(iter(one.images.values())).shape[1:], bool)
        for lesion in one.lesions:
            (top, bottom), (left, right) = lesion.box
            boxes.append((first, lesion.kind, top, bottom, left, right, int(lesion.mask.sum())))
            mask |= lesion.mask
        masks.append(mask)
        stages.watcher.advance((i + 1) / n, f"{i + 1:,} of {n:,}")
    return rows, boxes, masks
