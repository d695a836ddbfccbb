"""One measure of SynthEval, metered: syntheval_measure.py NAME TRAIN HOLDOUT SYNTHETIC TARGET LIMIT."""

from __future__ import annotations

import os
import sys
import warnings
from tempfile import mkdtemp

import pandas as pd
from metered import meter, read
from syntheval import SynthEval

warnings.filterwarnings("ignore")
os.environ["TQDM_DISABLE"] = "1"
parts, target = read(sys.argv[2:5]), sys.argv[5]
os.chdir(mkdtemp())  # it writes files where it stands
numbers = [name for name in parts[0].columns if pd.api.types.is_numeric_dtype(parts[0][name])]
for part in parts:  # it takes no missing cells: they become a level, or the median
    for name in part.columns:
        part[name] = part[name].fillna(parts[0][name].median()) if name in numbers else part[name].fillna("missing")
train, holdout, synthetic = parts
NAMES = {"mia_risk": "mia"}


def run(name: str) -> object:
    judge = SynthEval(
        train,
        holdout_dataframe=holdout,
        cat_cols=[name for name in train.columns if name not in numbers],
        verbose=False,
        enable_plots=False,
        console="off",
        show_warnings=False,
    )
    return judge.evaluate(synthetic, target, **{NAMES.get(name, name): {}})


MEASURES = ("ks_test", "corr_diff", "mi_diff", "p_mse", "cls_acc", "dcr", "nndr", "nnaa", "eps_risk", "hit_rate")
meter({name: (lambda name=name: run(name)) for name in (*MEASURES, "mia_risk")})
