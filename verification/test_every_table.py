"""Every registered synthesizer meets every real table that the developers have: it works, or refuses with a sentence; it never crashes.

Some sixty tables times all synthesizers, a few hundred rows, a few steps: some six minutes on one core. Skips where the tables are absent.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from real_tables import SHARED, tables

from manikin.data.dataset import Dataset
from manikin.data.errors import InputError, JobError
from manikin.synthesizers import SYNTHESIZERS, synthesizer
from manikin.workflow.sources import read

MOST_ROWS = 300
MOST_BYTES = 60_000_000


@cache
def table(name: str) -> Dataset | str:
    """A few hundred rows of a table, or the sentence it was refused with."""
    try:
        data = read(SHARED / name)
    except InputError as error:
        return str(error)
    rows = np.random.default_rng(0).permutation(len(data))[:MOST_ROWS]
    return data.take(np.sort(rows))


@pytest.mark.parametrize("name", tables(MOST_BYTES) or [pytest.param("", marks=pytest.mark.skip(reason="the real tables are not here"))])
def test_every_synthesizer_works_or_refuses_by_name(name: str) -> None:
    data = table(name)
    if isinstance(data, str):
        assert len(data) < 600
        assert "Traceback" not in data
        return
    told = {}
    for which, entry in SYNTHESIZERS.items():
        model = synthesizer(which, max_steps=3) if entry.is_neural else synthesizer(which)
        try:
            made = model.fit(data, seed=0).sample(25, seed=1)
        except (InputError, JobError) as error:
            told[which] = str(error)
            continue
        assert len(made) == 25, which
        assert isinstance(made.to_pandas(), pd.DataFrame)
    for which, sentence in told.items():
        assert sentence.count(". ") <= 3, f"{which}: {sentence}"
    works = set(SYNTHESIZERS) - set(told)
    assert works or not data.columns.learned, f"{name}: every synthesizer refuses: {told}"
