"""The codec on real linked data: keys, sizes, distributions, and what it costs."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from codec_tables import check_keys, drawn_by_masks, key, static_at_random

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Form, Kind, Role, Schema, Storage, TableSchema

PATIENT = key("subject_id", patient=True)


def test_twenty_tables_of_intensive_care_come_back_whole(shared: Path) -> None:
    from manikin.io.linked import read

    data = read(shared / "mimic_iii_demo")
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    made = codec.decode(records, np.random.default_rng(0))
    check_keys(made, against=data)
    withheld = {name: share for name, _, share in codec.withheld_rows()}
    assert withheld.keys() >= {"PRESCRIPTIONS", "DIAGNOSES_ICD", "LABEVENTS", "CHARTEVENTS"} & {t.name for t in data.schema.tables}
    assert not withheld.keys() & {"ADMISSIONS", "ICUSTAYS", "PATIENTS"}, "rows of patients refer to these"
    for table in data.schema.tables:
        n = len(data.tables[table.name])
        assert len(made.tables[table.name]) == n - round(n * withheld.get(table.name, 0.0)), table.name
    drugs = [whole.tables["PRESCRIPTIONS"].frame["drug"].astype(str).value_counts() for whole in (data, made)]
    assert drugs[1].to_dict() == drugs[0].loc[drugs[1].index].to_dict(), "no frequent drug takes the place of rare ones"
    real, new = (whole.tables["ADMISSIONS"].frame for whole in (data, made))
    assert (new["dischtime"] >= new["admittime"]).all()
    both = (new["deathtime"].notna() & new["dischtime"].notna()).to_numpy()
    assert (new["deathtime"] == new["dischtime"])[both].mean() > 0.5  # as in the real rows: two times that are mostly one
    assert abs(new["deathtime"].notna().mean() - real["deathtime"].notna().mean()) < 0.02
    ages = [
        (
            w.tables["ADMISSIONS"].frame.groupby("subject_id")["admittime"].min()
            - w.tables["PATIENTS"].frame.set_index("subject_id")["dob"]
        )
        for w in (data, made)
    ]
    old = [int((age.dt.days > 300 * 365).sum()) for age in ages]
    assert old[0] == old[1] > 0
    drawn = codec.decode(drawn_by_masks(codec, static_at_random(codec, 20, 1), 2, most=30), np.random.default_rng(0))
    check_keys(drawn, against=data)


def test_a_million_events_of_seven_thousand_codes_in_seconds(shared: Path) -> None:
    events = pd.read_parquet(shared / "mimic_iv_demo_meds" / "events.parquet")
    schema = TableSchema(
        "data",
        (
            PATIENT,
            Column("time", Kind.DATETIME, Storage.TIMESTAMP),
            Column("code", Kind.CODE),
            Column("value", Kind.CONTINUOUS, Storage.REAL, by="code"),
        ),
        form=Form.EVENTS,
        start="time",
    )
    frame = events.assign(
        subject_id=events["subject_id"].astype(str).astype(object),
        code=events["code"].astype("category"),
        value=events["value"].astype(float),
    )
    marks = {name: frame[name].isna().to_numpy().astype(np.int8) for name in ("time", "value")}
    data = Dataset({"data": Table(frame, {name: mark for name, mark in marks.items() if mark.any()})}, Schema((schema,)))
    began = time.process_time()
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    made = codec.decode(records, np.random.default_rng(0))
    assert time.process_time() - began < 20
    ((_, column, share),) = codec.withheld_rows()
    assert (column, len(made.tables["data"])) == ("code", len(events) - round(share * len(events)))
    assert 0.05 < share < 0.1
    real, new = (one.groupby("code", observed=True)["value"] for one in (frame, made.tables["data"].frame))
    often = real.count().loc[lambda n: n > 2000].index
    spread = real.std().loc[often]
    assert len(often) > 20
    assert ((new.mean().loc[often] - real.mean().loc[often]).abs() / spread < 0.15).mean() > 0.95
    by_code = frame.groupby("code", observed=True)["subject_id"].nunique()
    assert set(made.tables["data"].frame["code"].dropna()) <= set(by_code.index[by_code >= 11])


def test_visits_of_one_table_keep_what_never_changes(shared: Path) -> None:
    texts = pd.read_csv(shared / "survival" / "pbcseq.csv")
    numbers = [name for name in texts if name not in ("id", "sex")]
    schema = TableSchema(
        "pbcseq",
        (
            key("id", patient=True),
            Column("sex", Kind.CATEGORICAL),
            *(
                Column(
                    name,
                    Kind.CONTINUOUS,
                    Storage.REAL,
                    roles=(Role.TIME,) if name == "futime" else (),
                    unit="day" if name == "day" else None,
                )
                for name in numbers
            ),
        ),
        form=Form.EVENTS,
        start="day",
    )
    frame = pd.DataFrame({"id": texts["id"].astype(str).astype(object), "sex": texts["sex"].astype("category")})
    frame = pd.concat([frame, texts[numbers].astype(float)], axis=1)
    marks = {name: mark for name in numbers if (mark := frame[name].isna().to_numpy().astype(np.int8)).any()}
    codec = RecordsCodec()
    records = codec.fit_encode(Dataset({"pbcseq": Table(frame, marks)}, Schema((schema,))))
    assert codec.layout.static.names == ["(anchor)", "sex", "futime", "status", "trt", "age"]
    assert codec.plan_.bound == "futime"
    made = codec.decode(records, np.random.default_rng(0)).tables["pbcseq"].frame
    assert len(made) == 1945
    assert (made.groupby("id")["age"].nunique() == 1).all()
    assert (made["day"] <= made["futime"]).all()
    assert (made.groupby("id", sort=False)["day"].first() == 0).all()
