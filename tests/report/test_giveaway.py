from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manikin.evaluation.base import Results
from manikin.report.blocks import Bullets, Figure, Table, Text, walk
from manikin.report.giveaway import giveaway, how

from .made import column_names, made_metrics, made_results

NAMES = column_names(6)


def row(**more: Any) -> dict[str, Any]:
    return {"column": NAMES[5], "alone_interval": [0.6, 0.8], "spacing": None, **more}


def with_views(view: dict[str, Any]) -> Results:
    return Results(
        tuple(m for m in made_metrics(NAMES) if m.name != "missingness"), {"columns": [{"column": NAMES[5], **view}]}
    )


def test_the_worst_columns_have_a_bar_a_line_and_a_sentence() -> None:
    blocks = walk(giveaway(made_results()))
    assert [type(block) for block in blocks if isinstance(block, Figure | Bullets)] == [Bullets, Figure]
    sentences = next(block for block in blocks if isinstance(block, Bullets)).items
    assert len(sentences) == 2  # column_01 tells by its relation with column_00 alone, which is told there
    assert sentences[0].startswith("“column_00”: 100 % of its real values have at most 1 decimal, and 10.0 %")
    assert sentences[0].endswith(
        "; also, it does not go with “column_01” as in real rows (association 0.50 real, 0.30 synthetic)."
    )
    first = next(block for block in blocks if isinstance(block, Table))
    assert first.rows[0] == ("column_00", "50.0 %", "0.800", "0.500", "0.100")


def test_a_column_that_tells_by_its_relation_alone_is_told_so() -> None:
    sentence = how({"column": "column_01", "alone_interval": [0.45, 0.55], "spacing": None}, made_results())
    assert sentence.startswith("“column_01”: it does not go with “column_00”")


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (
            {"levels": ["a", "b", "(other)"], "train": [0.5, 0.1, 0.4], "synthetic": [0.1, 0.2, 0.7]},
            "too few rows hold “a” (50.0 % real",
        ),
        (
            {"edges": [0, 10, 20], "train": [0.5, 0.5], "synthetic": [0.8, 0.2]},
            "values up to 10 make up 50.0 % of the real and 80.0 %",
        ),
        ({"levels": ["a"], "train": [1.0], "synthetic": [1.0]}, "many small differences"),
    ],
)
def test_the_largest_difference_is_told(view: dict[str, Any], words: str) -> None:
    assert words in how(row(), with_views(view))


def test_missing_cells_are_told_beyond_what_chance_does() -> None:
    sentence = how({**row(), "column": "column_00"}, Results(tuple(m for m in made_metrics(NAMES) if m.name != "giveaway")))
    assert "12.0 % of its real cells are missing, and 22.0 % of the synthetic ones" in sentence


def test_where_nothing_stands_out_it_says_so() -> None:
    metrics = made_results().metrics
    calm = [{**part, "stands_out": False} for part in next(m for m in metrics if m.name == "giveaway").details["columns"]]
    told = tuple(
        replace(m, details={**m.details, "columns": calm, "pairs": []}) if m.name == "giveaway" else m for m in metrics
    )
    blocks = walk(giveaway(Results(told)))
    assert not any(isinstance(block, Bullets) for block in blocks)
    assert "No column stands out" in next(block.text for block in blocks if isinstance(block, Text))


def test_no_figure_leaves_its_reason() -> None:
    metrics = tuple(replace(m, value=None, details={}, note="Not computed: few rows.") for m in made_metrics(NAMES))
    assert giveaway(Results(metrics)) == (Text("Not computed: few rows.", tone=giveaway(Results(metrics))[0].tone),)  # type: ignore[union-attr]
    assert giveaway(Results(())) == ()
