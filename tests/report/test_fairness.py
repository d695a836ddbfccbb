from __future__ import annotations

from manikin.evaluation.base import Results
from manikin.report.blocks import Dial, Figure, Table, walk
from manikin.report.fairness import fairness

from .test_safety import changed


def test_each_group_stands_with_what_the_release_adds_to_its_gap(results: Results) -> None:
    blocks = walk(fairness(results))
    assert [block.name for block in blocks if isinstance(block, Dial)] == ["subgroup_gap"]
    figure = next(block for block in blocks if isinstance(block, Figure))
    assert "sex F, 0.030 (0.020 to 0.040)" in figure.alt
    gaps, groups = (block for block in blocks if isinstance(block, Table))
    assert gaps.rows == (("AUROC", "0.080", "0.100", "0.020 (−0.010 to 0.050)"),)
    assert groups.rows[0] == ("sex F", "80", "0.740", "0.700", "0.030", "0.020 to 0.040")


def test_without_groups_only_the_dial_says_why(results: Results) -> None:
    assert fairness(Results(())) == ()
    bare = changed(results, "subgroup_gap", value=None, interval=None, details={}, note="Not computed: no group is large enough.")
    blocks = walk(fairness(bare))
    assert [block.note for block in blocks if isinstance(block, Dial)] == ["Not computed: no group is large enough."]
    assert not any(isinstance(block, Figure) for block in blocks)
