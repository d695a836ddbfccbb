"""Tables as a peer is given them, and back: contexts, keys that follow, days for dates, row numbers, dictionaries, decimals.

python -m pytest benchmarks/test_records_linked.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import records_adapter as shared
import records_linked as linked

FACTS = {
    "patients": {"table": "people", "key": "person", "categories": []},
    "events": [{"table": "drugs", "key": "person", "code": "item", "time": "given"}],
    "keys": {"people": ["person"], "stays": ["stay"]},
    "links": [
        {"table": "stays", "columns": ["person"], "to": "people", "references": ["person"]},
        {"table": "drugs", "columns": ["person"], "to": "people", "references": ["person"]},
        {"table": "drugs", "columns": ["stay"], "to": "stays", "references": ["stay"]},
        {"table": "notes", "columns": ["person"], "to": "people", "references": ["person"]},
        {"table": "notes", "columns": ["stay"], "to": "stays", "references": ["stay"]},
        {"table": "drugs", "columns": ["item"], "to": "items", "references": ["item"]},
    ],
}


@pytest.fixture
def tables() -> shared.Tables:
    """30 people with a stay or two each, drugs in every stay, notes that may have none; one was born three centuries before."""
    person = np.repeat(np.arange(30), 2)[:50]
    stays = pd.DataFrame({"stay": 700 + np.arange(50), "person": person, "begun": [f"21{10 + p:02}-05-03 07:30:00" for p in person]})
    drugs = stays.loc[np.repeat(np.arange(50), 2), ["person", "stay"]].reset_index(drop=True)
    given = [f"21{10 + p:02}-05-0{4 - n % 2} 08:00:00" for n, p in enumerate(drugs["person"])]
    drugs = drugs.assign(row=np.arange(100) + 5, item="A", given=given, blank=np.nan)
    notes = stays[["person", "stay"]].assign(stay=lambda part: part["stay"].where(part.index % 3 > 0).astype("Int64"))
    born = ["1811-01-01 00:00:00", *["2050-01-01 00:00:00"] * 29]
    people = pd.DataFrame({"person": np.arange(30), "born": born})
    return {"people": people, "stays": stays, "drugs": drugs, "notes": notes, "items": pd.DataFrame({"item": ["A"], "label": ["x"]})}


def test_a_table_stands_under_the_furthest_parent_that_all_its_rows_name(tables: shared.Tables) -> None:
    """Drugs under stays, their person following; notes, some of which name no stay, under the person with a loose key."""
    places = linked.contexts(tables, FACTS, deep=True)
    assert places["drugs"].context.parent == "stays"
    assert [link.column for link in places["drugs"].follows] == ["person"]
    assert places["notes"].context.parent == "people"
    assert [link.column for link in places["notes"].loose] == ["stay"]
    flat = linked.contexts(tables, FACTS, deep=False)
    assert flat["drugs"].context.parent == "people"
    assert [link.column for link in flat["drugs"].loose] == ["stay"]
    assert "items" not in places


def test_there_and_back_keeps_all_but_names_and_years(tables: shared.Tables) -> None:
    """Days, clocks, who belongs to whom; keys and row numbers are new, the dictionary is the same."""
    both = linked.Linked(tables, FACTS)
    given = both.given()
    assert list(given["drugs"]) == ["stay", "item", "given"]
    assert given["drugs"]["given"].iloc[:2].tolist() == pytest.approx([8 / 24, 1 + 8 / 24])  # since midnight, in order of time
    made = both.back(given, seed=3)
    shapes = [{name: (list(table), len(table)) for name, table in part.items()} for part in (made, tables)]
    assert shapes[0] == shapes[1]
    assert not set(made["stays"]["stay"]) & set(tables["stays"]["stay"])
    owner = made["stays"].set_index("stay")["person"]
    assert made["drugs"]["stay"].map(owner).eq(made["drugs"]["person"]).all()
    assert made["drugs"]["given"].str.endswith("08:00:00").all()
    assert made["people"]["born"].str.endswith("00:00:00").all()
    whole = made["stays"].merge(made["people"])
    years = pd.to_datetime(whole["begun"]).dt.year - whole["born"].str[:4].astype(int)
    assert years.max() in (299, 300)
    assert made["items"] is tables["items"]


def test_loose_keys_are_drawn_within_the_patient(tables: shared.Tables) -> None:
    """A note names a stay of its own person or none, about as often as in train."""
    both = linked.Linked(tables, FACTS)
    given = both.given()
    given["notes"] = given["notes"].drop(columns="stay")
    both.drawn_within(given, seed=0)
    owner = given["stays"].set_index("stay")["person"]
    named = given["notes"].dropna(subset="stay")
    assert named["stay"].map(owner).eq(named["person"]).all()
    assert 0.1 < given["notes"]["stay"].isna().mean() < 0.6


def test_text_among_numbers_spoils_no_other_column(tmp_path: Path) -> None:
    """A peer's text in a column of numbers is left to the judge; its other columns have train's decimals."""
    pd.DataFrame({"code": [1, 2], "dose": [0.5, 1.5]}).to_csv(tmp_path / "drugs.csv", index=False)
    made, told = shared.like_train("drugs", pd.DataFrame({"code": ["1", "_RARE_"], "dose": [0.1234, 7.77]}), tmp_path)
    assert made["dose"].tolist() == [0.1, 7.8]
    assert made["code"].tolist() == ["1", "_RARE_"]
    assert "drugs.code holds text" in told
