from __future__ import annotations

from manikin.evaluation.base import Results
from manikin.report import answers, safety
from manikin.report.blocks import Bullets, Facts, Figure, Heading, Table, Text, walk
from manikin.report.making import glossary, making
from manikin.report.record import read_record


def facts(results: Results) -> dict[str, str]:
    return {term: value for block in walk(making(results)) if isinstance(block, Facts) for term, value in block.items}


def test_a_run_is_told_from_data_to_energy(results: Results) -> None:
    told = facts(results)
    assert told["Training rows"] == "550"
    assert told["Generator"] == "autoregressive"
    assert told["Seed"] == "0"
    assert told["Stopped because"] == "no better on held-out rows"
    assert told["CPU seconds, fit"] == "12.2"
    assert told["Energy, estimated"] == "0.4 Wh"
    assert told["synthetic.csv"] == "the synthetic rows"
    assert any(isinstance(block, Text) and "20 W for each busy core" in block.text for block in making(results))


def test_columns_left_out_have_their_reason(results: Results) -> None:
    rows = [row for block in walk(making(results)) if isinstance(block, Table) for row in block.rows]
    assert ("surname", "a direct identifier, by name") in rows


def test_a_curve_with_gaps_is_drawn_and_told(results: Results) -> None:
    (figure,) = (block for block in walk(making(results)) if isinstance(block, Figure))
    assert "400 steps" in figure.alt
    assert "2.2" in figure.alt


def test_a_file_from_elsewhere_says_that_nothing_is_known() -> None:
    (only,) = making(Results(()))
    assert isinstance(only, Text)
    assert "given as a file" in only.text


def test_a_record_takes_what_it_can_and_passes_over_the_rest() -> None:
    record = read_record(
        {
            "rows": {"train": 10},
            "columns": ["a", "b"],
            "cpu_seconds": None,
            "training": "none",
            "notices": None,
            "energy": {"kwh": 0.25},
        }
    )
    assert record.rows == {"train": 10}
    assert record.n_columns == 2
    assert record.training == {}
    assert record.notices == ()
    assert record.energy_watt_hours == 250


def test_the_limits_behind_the_answers_are_on_the_page() -> None:
    bullets = [block.items for block in glossary(Results(())) if isinstance(block, Bullets)]
    assert bullets == [(*answers.CONVENTIONS, *safety.CONVENTIONS)]


def test_how_it_learned_stands_in_its_place(results: Results) -> None:
    headings = [block.text for block in making(results) if isinstance(block, Heading)]
    assert headings.index("How it learned") < headings.index("Cost")
