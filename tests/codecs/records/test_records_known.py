"""Patients who are continued: what is known of them comes back to the last digit, whatever is drawn behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from codec_tables import check_keys, drawn_by_masks, hospital, static_at_random, table_texts

from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError


def joined(first: Records, then: Records, codec: RecordsCodec) -> Records:
    """The events of each patient, then those of another record."""
    order, tables, tokens = [], [], []
    for i in range(len(first)):
        for own in (first, then):
            rows = slice(own.starts[i], own.starts[i + 1])
            tables.append(own.table[rows])
            tokens.append(own.tokens[rows])
        order.append(len(tables[-1]) + len(tables[-2]))
    starts = np.concatenate([[0], np.cumsum(order)]).astype(np.int64)
    table, token = np.concatenate(tables), np.concatenate(tokens)
    return Records(first.static, starts, table, token, codec.times(starts, table, token))


@pytest.mark.parametrize("k", [1, 8])
def test_known_rows_come_back_and_new_ones_follow(k: int) -> None:
    data = hospital(30, seed=7, k=k)
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    more = drawn_by_masks(codec, static_at_random(codec, 30, 1), 2, most=6)
    made = codec.decode(joined(records, more, codec), np.random.default_rng(0), known=data)
    check_keys(made, against=data)
    patients = [table_texts(one, "patients").drop(columns="pid") for one in (data, made)]
    assert patients[0].drop(columns="died").equals(patients[1].drop(columns="died"))
    for name, own in (("stays", ["admitted", "discharged", "ward"]), ("labs", ["at", "test", "value"])):
        texts = [table_texts(one, name) for one in (data, made)]
        owners = [one.owners[name] for one in (data, made)]
        for patient in range(len(data)):
            real = texts[0][owners[0] == patient][own].to_numpy().tolist()
            new = texts[1][owners[1] == patient][own].to_numpy().tolist()
            assert sorted(new[: len(real)]) == sorted(real)
    assert len(made.tables["stays"]) >= len(data.tables["stays"])


def test_a_patient_is_continued_several_times() -> None:
    data = hospital(20, seed=7)
    codec = RecordsCodec()
    twice = np.repeat(np.arange(len(data)), 2)
    records = codec.fit_encode(data).subset(twice)
    made = codec.decode(records, np.random.default_rng(0), known=data, patients=twice)
    assert len(made) == 2 * len(data)
    check_keys(made)
    texts = table_texts(made, "patients").drop(columns="pid")
    assert texts[::2].reset_index(drop=True).equals(texts[1::2].reset_index(drop=True))
    assert texts[::2].reset_index(drop=True).equals(table_texts(data, "patients").drop(columns="pid"))


def test_static_columns_that_are_not_known_are_drawn() -> None:
    data = hospital(20, seed=7)
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    short = data.schema["patients"].only(["pid", "born"])
    schema = type(data.schema)(tuple(short if t.name == "patients" else t for t in data.schema.tables))
    own = Dataset({**data.tables, "patients": data.tables["patients"].only(short.names)}, schema)
    changed = replace(records, static=np.where(np.arange(4) == codec.layout.static.names.index("sex"), 1, records.static))
    made = codec.decode(changed.subset(np.arange(20)), np.random.default_rng(0), known=own)
    assert made.tables["patients"].frame["sex"].nunique() == 1
    assert table_texts(made, "patients")["born"].equals(table_texts(data, "patients")["born"])


def test_records_that_do_not_begin_so_are_refused() -> None:
    data = hospital(20, seed=7)
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    with pytest.raises(ParameterError, match="must begin with all of their known events"):
        codec.decode(records.subset(np.arange(20)[::-1]), np.random.default_rng(0), known=data)
