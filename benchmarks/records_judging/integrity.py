"""Whether rows refer to rows that exist, keys are unique, and no key is one of train. Knows no patient."""

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


def integrity(made: Tables, train: Tables, facts: Mapping) -> dict:
    """Share of references that hold, beside what train itself has; keys that occur twice; keys of train that come again."""
    counts = {part: [orphans(tables, link) for link in facts["links"]] for part, tables in (("made", made), ("train", train))}
    totals = {part: (sum(lost for lost, _ in pairs), sum(n for _, n in pairs)) for part, pairs in counts.items()}
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
        "keys_twice": twice,
        "keys_of_train": reused / max(keys, 1),
        "tables_missing": sorted(set(train) - set(made)),
    }
