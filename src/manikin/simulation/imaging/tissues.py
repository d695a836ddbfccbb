"""What tissues are to each kind of scanner: typical adult values, rounded, with their sources. Knows no shape and no scanner.

Values differ between people, organs' states and measurements by some tens of per cent; they make pictures plausible and say nothing about
a patient. They were not re-entered from the sources as the constants of `clinical` are. MR values are for 1.5 T.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

SOURCES = {
    "hu": "ICRU 44 (1989) compositions through Schneider et al. 1996, doi:10.1088/0031-9155/41/1/009; soft tissue as read in practice",
    "t1_ms": "head: BrainWeb, Collins et al. 1998, doi:10.1109/42.712135; body: Stanisz et al. 2005, doi:10.1002/mrm.20605, "
    "and de Bazelaire et al. 2004, doi:10.1148/radiol.2303021331",
    "t2_ms": "as t1_ms",
    "proton_density": "head: BrainWeb, as t1_ms; body: relative water and fat content, rounded",
    "sound_m_s": "IT'IS database 4.0, doi:10.13099/VIP21000-04-0, rounded",
    "density_g_cm3": "ICRU 44 (1989), rounded",
    "echo": "relative amplitude of scatterers, liver = 1: an ordering of what sonographers call echo-rich and echo-poor, not a measurement",
    "attenuation_db_cm_mhz": "Culjat et al. 2010, doi:10.1016/j.ultrasmedbio.2010.02.012, rounded",
    "suv": "FDG uptake relative to the injected dose per weight: after Wang et al. 2007, Mol Imaging Biol 9:83-90, rounded, "
    "and usual clinical readings for lesions",
}
MU_WATER_60_KEV = 0.02059  # 1/mm, NIST XCOM, doi:10.18434/T48G6X; a chest X-ray's effective energy
MU_WATER_80_KEV = 0.01837  # 1/mm, the same table; a CT's effective energy
MU_WATER_511_KEV = 0.0096  # 1/mm, the same table at 0.5 MeV per unit density


@dataclass(frozen=True)
class Tissue:
    """One tissue's properties; `varies` is the spread of its texture relative to its value."""

    hu: float
    t1_ms: float
    t2_ms: float
    proton_density: float
    density_g_cm3: float
    sound_m_s: float
    echo: float
    attenuation_db_cm_mhz: float
    suv: float
    varies: float = 0.0


TISSUES: dict[str, Tissue] = {
    "air": Tissue(-1000, 0, 0, 0, 0.0012, 343, 0, 10, 0),
    "water": Tissue(0, 3000, 1500, 1, 1.0, 1482, 0, 0.002, 0),
    "skin": Tissue(50, 900, 45, 0.8, 1.09, 1624, 1.5, 1.2, 0.5, 0.02),
    "fat": Tissue(-100, 343, 58, 0.95, 0.95, 1440, 0.6, 0.5, 0.3, 0.04),
    "muscle": Tissue(55, 900, 40, 0.8, 1.05, 1588, 0.5, 0.7, 0.7, 0.04),
    "lung": Tissue(-800, 1000, 40, 0.2, 0.26, 949, 1, 20, 0.5, 0.04),
    "vessel": Tissue(45, 1441, 290, 0.85, 1.06, 1578, 0.02, 0.2, 1.6, 0.0),
    "heart": Tissue(50, 1030, 40, 0.8, 1.05, 1561, 0.6, 0.6, 2.5, 0.03),
    "mediastinum": Tissue(20, 850, 60, 0.85, 1.03, 1540, 0.8, 0.6, 1.2, 0.06),
    "liver": Tissue(60, 576, 46, 0.75, 1.06, 1586, 1.0, 0.5, 2.1, 0.04),
    "spleen": Tissue(50, 1057, 79, 0.8, 1.06, 1567, 0.95, 0.5, 1.8, 0.03),
    "kidney": Tissue(35, 690, 55, 0.8, 1.05, 1554, 0.7, 0.6, 2.5, 0.04),
    "bowel": Tissue(25, 1000, 80, 0.8, 1.04, 1540, 0.9, 0.7, 1.3, 0.12),
    "bladder": Tissue(5, 2800, 900, 1, 1.01, 1505, 0, 0.01, 8.0, 0.0),
    "prostate": Tissue(40, 1317, 88, 0.85, 1.05, 1560, 0.7, 0.6, 1.6, 0.05),
    "cortical_bone": Tissue(1100, 400, 1, 0.05, 1.92, 3515, 4, 7, 0.5, 0.04),
    "spongy_bone": Tissue(300, 549, 49, 0.55, 1.18, 2118, 2, 4, 1.2, 0.12),
    "marrow": Tissue(-20, 450, 55, 0.8, 1.0, 1440, 0.8, 0.8, 1.0, 0.06),
    "skull": Tissue(1000, 400, 1, 0.05, 1.61, 2814, 4, 7, 0.3, 0.05),
    "csf": Tissue(8, 2569, 329, 1, 1.007, 1505, 0, 0.01, 0.5, 0.0),
    "grey_matter": Tissue(38, 833, 83, 0.86, 1.045, 1546, 0.7, 0.6, 7.0, 0.02),
    "white_matter": Tissue(29, 500, 70, 0.77, 1.041, 1546, 0.8, 0.6, 2.5, 0.02),
    "tumour": Tissue(45, 1200, 110, 0.9, 1.05, 1550, 0.35, 0.8, 8.0, 0.10),
    "oedema": Tissue(20, 1300, 140, 0.9, 1.03, 1530, 0.5, 0.5, 1.5, 0.05),
    "haemorrhage": Tissue(70, 700, 50, 0.85, 1.06, 1560, 1.2, 0.5, 0.5, 0.04),
    "cyst": Tissue(8, 2500, 700, 1, 1.01, 1520, 0, 0.02, 0.2, 0.0),
    "consolidation": Tissue(20, 1100, 70, 0.8, 1.03, 1540, 0.8, 0.7, 3.0, 0.15),
    "effusion": Tissue(10, 2500, 400, 0.95, 1.02, 1520, 0.02, 0.05, 0.8, 0.0),
    "nodule": Tissue(40, 1200, 80, 0.85, 1.05, 1550, 0.5, 0.7, 5.0, 0.05),
}
NAMES = tuple(TISSUES)
NUMBER = {name: i for i, name in enumerate(NAMES)}
PROPERTIES = tuple(field.name for field in fields(Tissue))


@cache
def values(which: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One property of all tissues, float32, in the order of `NAMES`."""
    return np.array([getattr(tissue, which) for tissue in TISSUES.values()], dtype=np.float32)


def attenuation(hu: Any, mu_water: float = MU_WATER_80_KEV) -> Any:
    """Linear attenuation (1/mm) from Hounsfield units: mu = mu_water (1 + HU / 1000), never below 0."""
    return np.clip(mu_water * (1 + np.asarray(hu) / 1000), 0, None)


def hounsfield(mu: Any, mu_water: float = MU_WATER_80_KEV) -> Any:
    """Hounsfield units from linear attenuation (1/mm)."""
    return (np.asarray(mu) / mu_water - 1) * 1000
