from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.records.made import evidence, shuffled, with_table
from manikin.evaluation.records.lengths import record_gaps, record_lengths


def test_fresh_patients_score_like_the_reference(good):
    for metric in (record_lengths, record_gaps):
        result = metric(good, seed=0)
        assert result.value > 0.85
        assert abs(result.value - result.reference) < 0.06


def test_means_are_those_counted_by_hand(good):
    parts = {row["part"]: row for row in record_lengths(good, seed=0).details["parts"]}
    assert parts["labs: rows"]["mean_train"] == float(f"{len(good.train.tables['labs']) / good.train.n_records:.6g}")
    stays = good.train.tables["admissions"].frame.sort_values("admitted")
    gaps = stays.groupby("patient")["admitted"].diff().dropna() / pd.Timedelta(days=1)
    gaps = gaps[gaps > 0]
    found = {row["part"]: row for row in record_gaps(good, seed=0).details["parts"]}
    assert np.isclose(found["admissions"]["mean_train"], gaps.mean(), rtol=1e-4)


def test_half_of_the_rows_gone_and_times_shuffled(good):
    fake = good.synthetic[0]
    short = with_table(fake, "labs", fake.tables["labs"].frame.iloc[::2])
    assert record_lengths(evidence(good.train, good.holdout, short), seed=0).value < record_lengths(good, seed=0).value - 0.05
    mixed = shuffled(fake, "labs", ["taken"], 1)
    assert record_gaps(evidence(good.train, good.holdout, mixed), seed=0).value < record_gaps(good, seed=0).value - 0.2
