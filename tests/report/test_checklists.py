from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import Results
from manikin.report.blocks import Heading, Table, walk
from manikin.report.checklists import CHECKLISTS, checklists


def tables(results: Results) -> list[Table]:
    return [block for block in walk(checklists(results)) if isinstance(block, Table)]


def test_each_checklist_has_what_the_results_can_fill_and_what_a_person_must_add(results: Results) -> None:
    blocks = walk(checklists(results))
    assert [block.text for block in blocks if isinstance(block, Heading)] == ["TRIPOD+AI", "CONSORT-AI", "STANDING Together"]
    tripod = {row[0]: row for row in tables(results)[0].rows}
    assert tripod["12e"][2].startswith("AUROC on unseen real rows 0.710 (95 % interval 0.650 to 0.770)")
    assert "550 rows learned from" in tripod["12a"][2]
    assert all(row[3] for row in tripod.values())
    assert "doi:10.1136/bmj-2023-078378" in tables(results)[0].caption


def test_an_item_to_which_the_results_say_nothing_is_left_out(results: Results) -> None:
    bare = replace(results, metrics=tuple(m for m in results.metrics if m.name not in ("tstr", "time_to_event")))
    assert "12e" not in {row[0] for row in tables(bare)[0].rows}
    assert "18e" not in {row[0] for row in tables(results)[0].rows}
    decided = replace(results, run={**results.run, "policies": [{"policy": "open", "verdict": "pass", "checks": []}]})
    assert "open: pass" in {row[0]: row for row in tables(decided)[0].rows}["18e"][2]


def test_nothing_measured_is_no_appendix() -> None:
    assert checklists(Results(())) == ()


def test_item_numbers_are_given_once_and_nothing_is_called_met(results: Results) -> None:
    for title, _, items in CHECKLISTS:
        numbers = [item.number for item in items]
        assert title == "STANDING Together" or len(numbers) == len(set(numbers))
    assert "complies" not in repr(checklists(results))
