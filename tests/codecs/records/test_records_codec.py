"""The codec of linked tables: what comes back exactly, keys, orders, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from codec_tables import check_keys, hospital, random_records, table_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, FitError
from manikin.data.schema import Form, Schema, Storage

RNG = np.random.default_rng


def without_keys(data: Dataset, name: str) -> pd.DataFrame:
    return table_texts(data, name).drop(columns=["pid", "sid"], errors="ignore")


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), n_patients=st.integers(2, 30), longest=st.integers(1, 5))
def test_what_was_encoded_comes_back(seed: int, n_patients: int, longest: int) -> None:
    data = hospital(n_patients, seed=seed, longest=longest)
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    made = codec.decode(records, RNG(0))
    assert len(made) == len(data)
    for name in ("patients", "stays"):
        assert without_keys(made, name).equals(without_keys(data, name))
    for name in ("labs", "diagnoses"):
        assert without_keys(made, name).shape == without_keys(data, name).shape
        assert sorted(map(tuple, without_keys(made, name).to_numpy())) == sorted(
            map(tuple, without_keys(data, name).to_numpy())
        )
    check_keys(made, against=data)
    again = codec.encode(made)
    assert (again.tokens == records.tokens).all()
    assert (again.static == records.static).all()
    assert (again.times == records.times).all()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.sampled_from([1, 5]))
def test_keys_hold_and_orders_hold_whatever_the_tokens(seed: int, k: int) -> None:
    data = hospital(30, seed=3, k=k)
    codec = RecordsCodec()
    made = codec.decode(random_records(codec, codec.fit_encode(data), seed), RNG(seed))
    check_keys(made, against=data)
    stays = made.tables["stays"].frame
    assert (stays["discharged"] >= stays["admitted"]).all()
    assert (stays.groupby("pid", sort=False)["admitted"].diff().dropna() >= pd.Timedelta(0)).all()


def test_children_refer_to_the_same_parents() -> None:
    data = hospital(30, seed=5)
    codec = RecordsCodec()
    made = codec.decode(codec.fit_encode(data), RNG(0))
    for whole in (data, made):
        labs, stays = whole.tables["labs"].frame, whole.tables["stays"].frame
        joined = labs.merge(stays, on="sid", how="inner")
        wards = joined.groupby(["ward", "test"], observed=True).size()
        if whole is data:
            expected = wards
    assert wards.to_dict() == expected.to_dict()


def test_pieces_that_number_their_patients_apart_share_no_key() -> None:
    data = hospital(30, seed=1)
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    first, second = codec.decode(records, RNG(0)), codec.decode(records, RNG(1), first_key=len(data) + 1)
    for name, column in (("patients", "pid"), ("stays", "sid")):
        assert not set(first.tables[name].frame[column]) & set(second.tables[name].frame[column])
    assert codec.release_schema["stays"]["sid"].storage is Storage.INTEGER
    assert set(first.tables["labs"].frame["sid"].dropna()) <= set(first.tables["stays"].frame["sid"])


def test_times_are_what_the_tokens_say_and_what_a_sampler_counts() -> None:
    data = hospital(20, seed=2)
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    now = np.zeros(len(records))
    for step in range(int(records.lengths.max())):
        going = np.flatnonzero(records.lengths > step)
        rows = records.starts[going] + step
        now[going] = codec.advance(now[going], records.table[rows], records.tokens[rows, 0])
        assert np.allclose(now[going], records.times[rows])
    stays = data.tables["stays"].frame
    rows = np.flatnonzero(records.table == [t.name for t in codec.layout.tables].index("stays"))
    first = stays.groupby("pid")["admitted"].transform("min").dt.normalize()
    real = (stays["admitted"] - first).dt.total_seconds().to_numpy() / 86_400
    assert np.allclose(records.times[rows], real)  # nothing is merged where every value has a token


def test_fields_stand_in_the_order_that_is_told() -> None:
    codec = RecordsCodec().fit(hospital(30))
    layout = codec.layout
    assert layout.static.names == ["(anchor)", "sex", "born", "died"]
    assert {table.name: table.layout.names for table in layout.tables} == {
        "stays": ["admitted", "discharged", "ward"],
        "labs": ["at", "sid", "test", "value"],
        "diagnoses": ["(time)", "sid", "icd"],
    }
    assert layout.width == 4


def test_a_flat_table_and_nobody_are_refused() -> None:
    data = hospital(20)
    with pytest.raises(FitError, match="no patient"):
        RecordsCodec().fit(data.subset(np.zeros(0, dtype=np.int64)))
    alone = Schema((replace(data.schema["patients"], form=None),))
    with pytest.raises(FitError, match="one flat table"):
        RecordsCodec().fit(Dataset({"patients": data.tables["patients"]}, alone))


def test_a_static_table_with_two_rows_of_a_patient_is_refused() -> None:
    data = hospital(20)
    tables = tuple(replace(t, form=Form.STATIC) if t.name == "stays" else t for t in data.schema.tables)
    with pytest.raises(DataError, match="'stays' is static"):
        RecordsCodec().fit(Dataset(data.tables, Schema(tables)))
