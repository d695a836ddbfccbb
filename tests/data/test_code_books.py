"""Which columns of linked tables may hold codes of a public list: counted by patients, named for a person to say yes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import manikin as mk
from manikin.data.rare_values import code_books, telling_columns
from manikin.workflow.linked_notices import tell_linked
from manikin.workflow.look_linked import inspected, warnings_of_tables
from manikin.workflow.stages import Stages


def folder(at: Path) -> Path:
    """60 patients with four rows each: an item of a dictionary, rare from the fifth on, and a ward that no dictionary lists."""
    at.mkdir()
    rng = np.random.default_rng(0)
    (at / "patients.csv").write_text("subject_id,sex\n" + "".join(f"{i},{'fm'[i % 2]}\n" for i in range(1, 61)))
    (at / "d_items.csv").write_text("itemid,label\n" + "".join(f"{700 + i},item {i}\n" for i in range(30)))
    drawn = [(i, d, k if k < 5 else 5 + i % 20) for i in range(1, 61) for d, k in enumerate(rng.permutation(6)[:4])]
    rows = [f"{i},2020-01-{d + 1:02d} 08:00:00,{700 + item}\n" for i, d, item in drawn]
    (at / "events.csv").write_text("subject_id,charttime,itemid\n" + "".join(rows))
    return at


def test_codes_that_a_dictionary_lists_are_offered_as_public(tmp_path: Path) -> None:
    data = mk.read(folder(tmp_path / "ward"))
    ((table, column, counts),) = code_books(data)
    assert (table, column) == ("events", "itemid")
    assert counts.n_rare == 20
    assert counts.n_values == 25
    (said,) = [text for text in warnings_of_tables(inspected(data, tmp_path / "ward", None)) if "public knowledge" in text]
    assert "20 of 25 codes" in said
    assert said.endswith("--public events.itemid")
    assert not telling_columns(data)
    declared = mk.declare_public(data, ["events.itemid"])
    assert not code_books(declared)
    assert [(table, column, counts.n_rare) for table, column, counts in telling_columns(declared)] == [("events", "itemid", 20)]


def test_a_run_warns_that_rare_values_of_a_public_list_tell_who_is_in_the_data(tmp_path: Path) -> None:
    data = mk.declare_public(mk.read(folder(tmp_path / "ward")), ["events.itemid"])
    train, holdout = mk.split(data, seed=0)
    stages = Stages()
    tell_linked(data, train, holdout, stages)
    (told,) = [text for text in stages.notices if "Declared public" in text]
    assert "values of events.itemid that too few patients hold" in told
    assert not any(f"7{i:02d}" in told for i in range(30)), "no value is named"
