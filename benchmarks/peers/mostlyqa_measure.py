"""One measure of mostlyai-qa, metered: mostlyqa_measure.py NAME TRAIN HOLDOUT SYNTHETIC TARGET LIMIT. What it draws is not counted."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
from metered import meter, read
from mostlyai.qa import _distances
from mostlyai.qa._accuracy import binning_data, calculate_bivariates, calculate_trivariates, calculate_univariates
from mostlyai.qa._filesystem import Statistics
from mostlyai.qa._sampling import prepare_data_for_accuracy, prepare_data_for_embeddings

warnings.filterwarnings("ignore")
train, holdout, synthetic = read(sys.argv[2:5])


def accuracy(calculate: object) -> object:
    real = prepare_data_for_accuracy(df_tgt=train, setup="1:1")
    kept = prepare_data_for_accuracy(df_tgt=holdout, setup="1:1", ori_dtypes=real.dtypes.to_dict())
    made = prepare_data_for_accuracy(df_tgt=synthetic, setup="1:1", ori_dtypes=real.dtypes.to_dict())
    both = pd.concat([real, kept], ignore_index=True)
    binned = binning_data(ori=both, syn=made, statistics=Statistics(path=Path(mkdtemp())))
    return calculate(*binned)["accuracy"].mean()


def distances() -> object:
    made, real, kept = prepare_data_for_embeddings(syn_tgt_data=synthetic, trn_tgt_data=train, hol_tgt_data=holdout)
    found = _distances.calculate_distances(syn_embeds=made, trn_embeds=real, hol_embeds=kept)
    return _distances.calculate_dcr_share(dcr_syn_trn=found["dcr_syn_trn"], dcr_syn_hol=found["dcr_syn_hol"])


meter(
    {
        "univariate_accuracy": lambda: accuracy(calculate_univariates),
        "bivariate_accuracy": lambda: accuracy(calculate_bivariates),
        "trivariate_accuracy": lambda: accuracy(calculate_trivariates),
        "distances": distances,
    }
)
