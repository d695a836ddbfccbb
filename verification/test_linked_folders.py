"""Linked tables at size: a million patients are written in the memory of a piece, and two million events are read in a few gigabytes.

    python verification/test_linked_folders.py        or        make verify        (18 CPU seconds)
"""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.io.linked import FolderWriter, read

PIECE, PIECES, PER_PATIENT = 20_000, 50, 4
KEY = Column("subject", Kind.IDENTIFIER, Storage.INTEGER, roles=(Role.PATIENT_KEY,), missing=())
PATIENTS = TableSchema("patients", (KEY, Column("sex", Kind.CATEGORICAL, missing=())), form=Form.STATIC, primary_key=("subject",))
EVENTS = TableSchema(
    "events",
    (
        KEY,
        Column("day", Kind.COUNT, Storage.INTEGER, decimals=0, missing=()),
        Column("code", Kind.CODE, missing=()),
        Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=2, missing=(), by="code"),
    ),
    form=Form.EVENTS,
    foreign_keys=(ForeignKey(("subject",), "patients", ("subject",)),),
    start="day",
)
SCHEMA = Schema((PATIENTS, EVENTS))


def piece(number: int) -> Dataset:
    """Twenty thousand patients whose keys no other piece has."""
    rng = np.random.default_rng(number)
    keys = np.array([str(1 + number * PIECE + i) for i in range(PIECE)], dtype=object)
    n = PIECE * PER_PATIENT
    patients = pd.DataFrame({"subject": keys, "sex": pd.Categorical(rng.choice(["F", "M"], PIECE))})
    codes = pd.Categorical.from_codes(rng.integers(0, 50, n), [f"c{i:02d}" for i in range(50)])
    events = pd.DataFrame(
        {"subject": np.repeat(keys, PER_PATIENT), "day": rng.integers(0, 900, n) * 1.0, "code": codes, "value": rng.normal(size=n).round(2)}
    )
    return Dataset({"patients": Table(patients), "events": Table(events)}, SCHEMA)


def used_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def test_a_million_patients_are_written_in_the_memory_of_a_piece(tmp_path: Path) -> None:
    with FolderWriter(tmp_path / "made", SCHEMA, like=".parquet") as writer:
        for number in range(5):
            writer.append(piece(number))
        before = used_gib()
        for number in range(5, PIECES):
            writer.append(piece(number))
        after = used_gib()
    sizes = {name: pq.read_metadata(tmp_path / "made" / f"{name}.parquet").num_rows for name in ("patients", "events")}
    print(f"{sizes}, {before:.2f} GiB after five pieces, {after:.2f} GiB after {PIECES}")
    assert sizes == {"patients": PIECE * PIECES, "events": PIECE * PIECES * PER_PATIENT}
    assert after - before < 0.1


def test_two_million_events_are_read_in_few_gigabytes(tmp_path: Path) -> None:
    with FolderWriter(tmp_path / "made", SCHEMA, like=".csv") as writer:
        for number in range(25):
            writer.append(piece(number))
    data = read(tmp_path / "made")
    print(f"{len(data.tables['events']):,} events, {used_gib():.2f} GiB")
    assert used_gib() < 4
    assert (len(data), data.schema["events"].start, data.schema["events"]["day"].unit) == (25 * PIECE, "day", "d")
    assert data.schema["events"].foreign_keys == EVENTS.foreign_keys
    assert data.schema.root == data.schema["patients"]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q"]))
