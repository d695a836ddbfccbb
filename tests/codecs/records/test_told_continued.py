"""Patients who are continued: given rows stay as they were, and drawn ones do not contradict them or one another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from codec_tables import table_texts
from test_told import transferred

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.synthesizers.records.event_transformer import EventTransformer

N = 30


def is_new(made: Dataset, given: Dataset, table: str) -> np.ndarray:
    """Which rows of a table were drawn, bool (n_rows,): they stand behind a patient's given ones."""
    own = made.owners[table]
    return pd.Series(own).groupby(own).cumcount().to_numpy() >= np.bincount(given.owners[table], minlength=len(given))[own]


def test_what_is_drawn_behind_known_rows_does_not_contradict_them() -> None:
    data = transferred(80)
    given = data.subset(np.arange(N))
    model = EventTransformer(width=32, layers=1, max_steps=5).fit(data, seed=0)
    made = next(model.continue_(given, until=3000.0, draws=1, seed=1, set={"patients.sex": "f"}))
    assert set(table_texts(made, "patients")["sex"]) == {"f"}
    assert table_texts(made, "patients")["died"].tolist() == table_texts(given, "patients")["died"].tolist()
    for name in ("admissions", "moves", "diagnoses", "drugs"):
        new, columns = is_new(made, given, name), [c for c in table_texts(given, name) if c not in ("pid", "hadm")]
        assert new.any(), name
        theirs, mine = (own[columns].to_numpy().tolist() for own in (table_texts(given, name), table_texts(made, name)[~new]))
        assert sorted(theirs) == sorted(mine)
    held = next(model.continue_(given, until=3000.0, draws=1, seed=1, set={"moves.ward": "icu"}))
    assert set(table_texts(held, "moves")["ward"][is_new(held, given, "moves")]) == {"icu"}
    with pytest.raises(ParameterError, match=r"'moves\.what' is worked out from other cells"):
        next(model.continue_(given, until=3000.0, draws=1, seed=1, set={"moves.what": "admit"}))
    moves, new = table_texts(made, "moves"), is_new(made, given, "moves")
    into = moves.groupby("hadm")["into"]
    assert (moves["out"] == into.shift(-1).fillna(""))[new].all()
    assert (moves["before"] == moves.groupby("hadm")["ward"].shift().fillna(""))[new].all()
    stays = table_texts(made, "admissions")
    coded = table_texts(made, "diagnoses").merge(stays, on="hadm")
    assert (coded["coded"] == coded["discharged"]).all()
    drugs = table_texts(made, "drugs").merge(stays, on="hadm")
    assert ((drugs["at"] >= drugs["admitted"]) & (drugs["at"] <= drugs["discharged"])).all()
    later = stays.groupby("pid")["admitted"].shift(-1)
    assert (stays["discharged"] <= later.fillna("9")).all()
    assert later[stays["death"] != ""].isna().all()
