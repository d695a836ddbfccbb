"""Whether rows refer to rows that exist and are of the same patient, keys are unique, and no key is one of train."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

Tables = Mapping[str, pd.DataFrame]


def orphans(tables: Tables, link: Mapping) -> tuple[int, int]:
    """Rows whose reference is not empty and names no row, and rows with a reference."""
    if link["table"] not in tables or link["to"] not in tables:
        return 0, 0
    child, parent = tables[link["table"]][link["columns"]].dropna(), tables[link["to"]][link["references"]]
    known = pd.MultiIndex.from_frame(parent)
    found = pd.MultiIndex.from_frame(child.set_axis(link["references"], axis=1)).isin(known)
    return int((~found).sum()), len(child)


def strangers(tables: Tables, link: Mapping, owner: str) -> tuple[int, int]:
    """Rows whose reference names a row of another patient, and rows of which that can be told; `owner` is the patient's key in both."""
    if link["table"] not in tables or link["to"] not in tables or owner in link["columns"]:
        return 0, 0
    child, parent = tables[link["table"]], tables[link["to"]]
    if owner not in child or owner not in parent:
        return 0, 0
    known = parent.drop_duplicates(link["references"]).set_index(link["references"])[owner]
    index = child[link["columns"]].set_axis(link["references"], axis=1)
    key = pd.MultiIndex.from_frame(index) if len(link["references"]) > 1 else pd.Index(index.iloc[:, 0])
    place = known.index.get_indexer(key)
    told = place >= 0
    return int((known.to_numpy()[place[told]] != child[owner].to_numpy()[told]).sum()), int(told.sum())


def integrity(made: Tables, train: Tables, facts: Mapping) -> dict:
    """Share of references that hold and that name a row of the same patient, beside what train has; keys twice; keys of train again."""
    counts = {part: [orphans(tables, link) for link in facts["links"]] for part, tables in (("made", made), ("train", train))}
    totals = {part: (sum(lost for lost, _ in pairs), sum(n for _, n in pairs)) for part, pairs in counts.items()}
    owner = facts["patients"]["key"]
    apart = {part: [strangers(tables, link, owner) for link in facts["links"]] for part, tables in (("made", made), ("train", train))}
    own = {part: 1 - sum(lost for lost, _ in pairs) / max(sum(n for _, n in pairs), 1) for part, pairs in apart.items()}
    twice = reused = keys = 0
    for name, columns in facts["keys"].items():
        if name in made:
            cells = made[name][columns]
            twice += int(cells.duplicated().sum())
            reused += int(pd.MultiIndex.from_frame(cells).isin(pd.MultiIndex.from_frame(train[name][columns])).sum())
            keys += len(cells)
    return {
        "references_held": 1 - totals["made"][0] / max(totals["made"][1], 1),
        "references_held_in_train": 1 - totals["train"][0] / max(totals["train"][1], 1),
        "references_of_own_patient": own["made"],
        "references_of_own_patient_in_train": own["train"],
        "keys_twice": twice,
        "keys_of_train": reused / max(keys, 1),
        "tables_missing": sorted(set(train) - set(made)),
    }
