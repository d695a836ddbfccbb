"""Diagnoses that sex excludes: how many real tables hold, and how many generators make with the masks and without.

    python benchmarks/code_conflicts.py DIABETES130/diabetic_data.csv.gz TABLES/diabetes_visits
    python benchmarks/code_conflicts.py MIMIC_IV_DEMO_MEDS/events.parquet

The first line counts all 101,766 encounters of the diabetes data (or the diagnoses among the codes of MEDS); the others are `markov` on
the folder of records_visits.py, seed 0.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import manikin as mk
from manikin.clinical.bound_codes import FEMALE, MALE, UNKNOWN, bounds_on, limits
from manikin.codecs.records.code_limits import NONE
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.records.bound_codes import code_conflicts


def real(path: Path) -> None:
    """Counts every diagnosis of the data."""
    rows = pd.read_csv(path, dtype=str, usecols=["gender", "diag_1", "diag_2", "diag_3"], keep_default_na=False, na_values=["?"])
    held = rows.melt("gender", value_name="code").dropna(subset="code")
    codes = sorted(set(held["code"]))
    own = limits("ICD-9-CM", [[code] for code in codes])
    sex = held["gender"].map({"Female": FEMALE, "Male": MALE}).fillna(UNKNOWN).to_numpy(dtype=np.int8)
    code = held["code"].map({code: i for i, code in enumerate(codes)}).to_numpy(dtype=np.int64)
    wrong = ~own.sexes[code, sex]
    bound = np.array([any(one.sex for one in bounds_on("ICD-9-CM", text)) for text in codes])[code]
    titles = pd.Series([bounds_on("ICD-9-CM", codes[i])[0].title for i in code[wrong].tolist()], dtype=object).value_counts().to_dict()
    print(f"real: {wrong.sum()} of {len(held):,} diagnoses ({bound.sum():,} of them bound to one sex): {titles}")


def real_meds(path: Path) -> None:
    """Counts the diagnoses of data in MEDS, whose codes hold those of ICD-9 and ICD-10, against sex and age."""
    data = mk.read(path)
    found = code_conflicts(EvaluationData(data, data, (data,), data.schema, None), seed=0)
    print(f"real: {found.details['n_wrong']} of {found.n:,} diagnoses: {found.details['ranges']}")


def main(data: Path, tables: Path) -> None:
    """Prints the shares."""
    real(data)
    train, holdout = mk.read(tables / "train"), mk.read(tables / "holdout")
    model = mk.synthesizer("markov").fit(train, seed=0)
    with_masks = model.codec_.masks()
    for name, masks in (("with masks", with_masks), ("without", replace(with_masks, limits=NONE))):
        model.codec_._masks = masks
        made = model.sample(len(train), seed=1)
        found = code_conflicts(EvaluationData(train, holdout, (made,), train.schema, None), seed=0)
        print(f"markov {name}: {found.details['n_wrong']} of {found.n:,} diagnoses")


if __name__ == "__main__":
    real_meds(Path(sys.argv[1])) if len(sys.argv) == 2 else main(Path(sys.argv[1]), Path(sys.argv[2]))
