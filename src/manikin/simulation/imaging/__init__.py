"""Imaging physics: phantoms with known truth, and what scanners and cameras make of them. Nothing is fitted.

The registry of what `manikin simulate images` can make; third parties join by the entry-point group `manikin.simulators`.
"""

from __future__ import annotations

from manikin.data.registry import Entry, Registry

_HOME = "manikin.simulation.imaging.simulators"

SIMULATORS: Registry[Entry] = Registry(
    "simulator",
    {
        "ct": Entry(f"{_HOME}:CT", "CT slices of a chest: normal, nodule, effusion, consolidation"),
        "xray": Entry(f"{_HOME}:XRAY", "chest radiographs: normal, nodule, effusion, consolidation"),
        "mr": Entry(f"{_HOME}:MR", "MR slices of a head in five weightings: normal, tumour, haemorrhage, cyst"),
        "ultrasound": Entry(f"{_HOME}:ULTRASOUND", "B-mode pictures of a liver: normal, cyst, tumour, haemorrhage"),
        "pet": Entry(f"{_HOME}:PET", "FDG-PET slices of a chest: normal, nodule, consolidation"),
        "fundus": Entry(f"{_HOME}:FUNDUS", "colour pictures of the eye ground: normal, retinopathy", extra="images"),
        "dermoscopy": Entry(f"{_HOME}:DERMOSCOPY", "colour pictures of pigmented skin: naevus, melanoma", extra="images"),
        "mr-ct": Entry(f"{_HOME}:MR_CT", "pairs of MR and CT slices of one head"),
        "mr-ct-pelvis": Entry(f"{_HOME}:MR_CT_PELVIS", "pairs of MR and CT slices of one pelvis"),
    },
    group="manikin.simulators",
)
