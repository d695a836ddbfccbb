"""On real tables: three random parts of one table are exchangeable, so trees cannot tell them apart and no measure accuses them.

    python verification/test_exchangeable_halves.py        or        make verify

Skips where the developers' real tables are absent. At most 600 rows a part, so that some forty tables take two minutes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from real_tables import SHARED, tables

from manikin.data.dataset import Dataset, split
from manikin.data.errors import InputError
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.detection import jury, verdict
from manikin.evaluation.prepared import Prepared, prepare
from manikin.evaluation.propensity import propensity
from manikin.evaluation.repeats import repeats
from manikin.workflow.sources import read

MOST_ROWS = 1_200
LEAST_ROWS = 200
LEAST_PATIENTS = 100
MOST_COLUMNS = 60
MOST_BYTES = 3_500_000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@cache
def halves(name: str) -> Prepared | None:
    """Two halves of a table's patients as holdout and synthetic rows (train is the first again); None for one that is too small."""
    try:
        data = read(SHARED / name)
    except InputError:
        return None
    rows_each = len(data) / max(data.n_records, 1)
    if len(data) < LEAST_ROWS or data.n_records < LEAST_PATIENTS or rows_each > MOST_ROWS / LEAST_PATIENTS:
        return None
    if not 2 <= len(data.columns.learned) <= MOST_COLUMNS:
        return None
    kept = np.sort(np.random.default_rng(0).permutation(data.n_records)[: int(MOST_ROWS / rows_each)])
    first, second = split(data.subset(kept), holdout=0.5, seed=1)
    return prepare(evidence(first, second))


def evidence(first: Dataset, second: Dataset) -> EvaluationData:
    return EvaluationData(first, first, (second,), first.columns, None)


@cache
def judged(name: str) -> tuple[float, float, float, float] | None:
    """AUC between the halves, the ends of its interval, and the share of rows that repeat another."""
    data = halves(name)
    if data is None:
        return None
    area, (low, high), _ = verdict(jury(data.features, data.fake, data.held, seed=0))
    return area, low, high, float(repeats(data.held).mean())


@pytest.mark.skipif(not tables(MOST_BYTES), reason="the real tables are not here")
def test_trees_cannot_tell_exchangeable_halves_apart():
    """0.5 lies in the interval in nine tables of ten, and nowhere are halves told apart for sure.

    Where rows repeat each other, a row's twin stands on the other side of some folds under the other name, so that the AUC falls below 0.5;
    there only the lower end is asked for.
    """
    found = {name: result for name in tables(MOST_BYTES) if (result := judged(name)) is not None}
    assert len(found) >= 15
    covers = {name: low <= 0.5 and (high >= 0.5 or twins > 0.05) for name, (_, low, high, twins) in found.items()}
    assert np.mean(list(covers.values())) >= 0.9, [name for name in covers if not covers[name]]
    assert all(low < 0.53 for _, low, _, _ in found.values()), {name: result for name, result in found.items() if result[1] >= 0.53}


@pytest.mark.skipif(not tables(MOST_BYTES), reason="the real tables are not here")
def test_the_propensity_ratio_of_exchangeable_halves_is_one():
    """Tables of one row a patient: with several, a few patients of many rows make the ratio vary much around 1."""
    ratios = [
        result.value
        for name in tables(MOST_BYTES)
        if (data := halves(name)) is not None and not data.real.has_patients and (result := propensity(data, seed=0)).value is not None
    ]
    assert np.median(ratios) == pytest.approx(1, abs=0.15)
    assert np.mean(np.array(ratios) < 1.6) >= 0.9


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q"]))
