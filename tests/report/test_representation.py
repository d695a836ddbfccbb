from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import MetricResult, Results
from manikin.report.blocks import Banner, Bullets, Figure, Table, Text, walk
from manikin.report.representation import representation

from .made import column_names, made_metrics, made_results


def test_a_short_group_is_flagged_in_words() -> None:
    blocks = walk(representation(made_results()))
    banner = next(block for block in blocks if isinstance(block, Banner))
    assert banner.title == "One group has less than its share."
    assert "“sex F” makes up 40.0 % of the real and 20.0 % of the synthetic patients: 0.50 of its share" in banner.text
    table = next(block for block in blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == ["sex F ▼ short", "sex M"]
    assert any(isinstance(block, Figure) for block in blocks)
    assert "“sex F”: its columns agree to 80.0 %" in next(block for block in blocks if isinstance(block, Bullets)).items[0]


def changed(metric: MetricResult, **more: object) -> MetricResult:
    groups = [{**row, **more} for row in metric.details["groups"]]
    return replace(metric, details={**metric.details, "groups": groups})


def test_full_shares_raise_no_flag() -> None:
    told = tuple(changed(m, is_short=False, shapes=None) if m.name == "representation" else m for m in made_results().metrics)
    blocks = walk(representation(Results(told)))
    assert not any(isinstance(block, Banner | Bullets) for block in blocks)
    assert next(block.text for block in blocks if isinstance(block, Text)).startswith("No group of patients is surely short")


def test_a_group_that_is_gone_is_said_to_be_gone() -> None:
    gone = {"is_short": True, "synthetic": 0.0, "ratio_synthetic": 0.0, "ratio_synthetic_interval": [0.0, 0.1]}
    told = tuple(changed(m, **gone) if m.name == "representation" else m for m in made_results().metrics)
    banner = next(block for block in walk(representation(Results(told))) if isinstance(block, Banner))
    assert banner.title.startswith("2 groups have less")
    assert "is not there at all" in banner.text


def test_without_groups_it_says_what_is_needed() -> None:
    metrics = tuple(replace(m, value=None, details={}, note="Not computed: no role.") for m in made_metrics(column_names(2)))
    (text,) = representation(Results(metrics))
    assert isinstance(text, Text)
    assert "schema.toml" in text.text
    assert representation(Results(())) == ()
