"""The split under a privacy ledger: a patient's side is hers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, split
from manikin.data.errors import DataError
from manikin.workflow.sources import read, read_each_by_itself


def visits(n_patients: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    return pd.DataFrame(
        {
            "patient_id": [f"P{k:05d}" for k in patients],
            "age": rng.integers(18, 95, len(patients)),
            "value": np.round(rng.normal(size=len(patients)), 3),
            "sex": rng.choice(["F", "M"], len(patients)),
        }
    )


def held(data: Dataset, column: str, seed: int = 3) -> set[str]:
    _, out = split(data, seed=seed, each_by_itself=True)
    return set(out.to_pandas()[column].astype(str))


def test_adding_or_removing_a_patient_moves_nobody() -> None:
    frame = visits()
    every = held(read(frame), "patient_id")
    without = held(read(frame[frame.patient_id != "P00007"]), "patient_id")
    assert every - {"P00007"} == without
    newcomer = pd.DataFrame({"patient_id": ["Q"], "age": [400], "value": [1e6], "sex": ["other"]})
    more = held(read(pd.concat([newcomer, frame], ignore_index=True)), "patient_id")
    assert more - {"Q"} == every


def test_the_shuffled_split_does_move_others() -> None:
    frame = visits()
    sides = []
    for rows in (frame, frame[frame.patient_id != "P00007"]):
        _, out = split(read(rows), seed=3)
        sides.append(set(out.to_pandas()["patient_id"]) - {"P00007"})
    assert sides[0] != sides[1]  # why the other one exists


def test_without_a_patient_key_a_row_s_own_cells_decide() -> None:
    frame = visits().drop(columns="patient_id").assign(value=lambda rows: np.arange(len(rows)) / 1000)
    every = held(read(frame), "value")
    shuffled = frame.sample(frac=1, random_state=1)
    assert held(read(shuffled), "value") == every
    assert held(read(frame.iloc[1:]), "value") == every - {"0.0"}


def test_cells_that_are_read_otherwise_beside_one_more_patient_keep_their_side() -> None:
    frame = visits().drop(columns="patient_id").assign(value=lambda rows: np.arange(len(rows)))
    every = held(read(frame), "value")
    newcomer = frame.iloc[:1].assign(value=0.5, age="unknown at this ward")  # age becomes a text, value a real number
    more = held(read(pd.concat([frame.astype({"age": object}), newcomer], ignore_index=True)), "value")
    assert {str(int(float(value))) for value in more - {"0.5"}} == every


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_the_share_is_met_on_average_and_seeds_differ(share: float) -> None:
    frame = visits(20_000)
    data = read(frame)
    shares = []
    for seed in (0, 1):
        train, out = split(data, holdout=share, seed=seed, each_by_itself=True)
        assert len(train) + len(out) == len(data)
        assert not set(train.to_pandas()["patient_id"]) & set(out.to_pandas()["patient_id"])
        shares.append(out.n_records / data.n_records)
    assert np.allclose(shares, share, atol=6 * np.sqrt(share * (1 - share) / 20_000))
    assert held(data, "patient_id", 0) != held(data, "patient_id", 1)


def test_nobody_on_one_side_is_refused() -> None:
    with pytest.raises(DataError, match="nobody on one side"):
        split(read(visits(2)), holdout=1e-9, each_by_itself=True)


def test_a_row_in_another_encoding_changes_no_other_row(tmp_path: Path) -> None:
    rows = "ward,age\n" + "".join(f"{'Köln' if i % 2 else 'Bonn'},{20 + i % 50}\n" for i in range(200))
    found = []
    for name, odd in (("without.csv", b""), ("with.csv", "Zürich,44\n".encode("latin-1"))):
        (tmp_path / name).write_bytes(rows.encode() + odd)
        cells = read_each_by_itself(tmp_path / name, read(tmp_path / name).columns).table.frame["ward"].astype(str)
        found.append(list(cells))
    assert found[1] == [*found[0], "Zürich"]
    assert set(found[0]) == {"Köln", "Bonn"}
