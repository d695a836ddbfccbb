from __future__ import annotations

import pytest

from evaluation.records.made import evidence, patients, reordered
from evaluation.simulated import evidence as flat_evidence
from evaluation.simulated import simulate
from manikin.data.errors import ParameterError
from manikin.evaluation import METRICS
from manikin.evaluation.base import Linked
from manikin.evaluation.detection import c2st
from manikin.evaluation.records.linked import joined
from manikin.evaluation.suite import evaluate
from manikin.workflow.look import listed


def test_a_figure_of_tables_is_taken_of_whole_patients(good):
    results = evaluate(good, seed=0, metrics=["column_shapes", "rare_values"], attacks=["membership"], with_views=False)
    shapes = results["column_shapes"]
    assert shapes.title == "Column shapes, whole patients"
    assert (shapes.unit, shapes.n) == ("patients", 120)
    assert abs(shapes.value - shapes.reference) < 0.03
    assert results["membership"].value is not None
    assert results["rare_values"].title == "Rare values disclosed, all tables"
    assert results["rare_values"].value == 0


def test_what_does_not_fit_the_data_is_refused_by_name(good):
    flat = flat_evidence(simulate(60, 1), simulate(60, 2), simulate(60, 3))
    with pytest.raises(ParameterError, match="three_way"):
        evaluate(good, seed=0, metrics=["three_way"], attacks=[])
    own = next(name for name, entry in METRICS.items() if entry.modality == "records")
    with pytest.raises(ParameterError, match=own):
        evaluate(flat, seed=0, metrics=[own], attacks=[])


def test_of_a_flat_table_none_of_the_figures_of_linked_patients_is_taken():
    flat = flat_evidence(simulate(60, 1), simulate(60, 2), simulate(60, 3))
    names = [name for name, entry in METRICS.items() if entry.modality == "table" and not entry.is_slow]
    found = evaluate(flat, seed=0, attacks=[], with_views=False, metrics=names)
    assert [metric.name for metric in found.metrics] == names


def test_the_list_says_which_data_a_figure_fits():
    lines = {line["name"]: line for line in listed("metrics")}
    assert lines["c2st"]["linked"] == Linked.PATIENTS
    assert lines["identifiers"]["linked"] == Linked.TABLES
    assert {line["modality"] for line in lines.values()} == {"table", "records", "images"}


def test_a_metric_of_tables_can_be_called_with_linked_patients(good):
    assert c2st(good, seed=0).value is not None


def test_several_releases_are_attacked_as_one_whose_keys_do_not_coincide():
    both = joined([patients(20, 5), patients(20, 5)])
    assert both.n_records == 40
    assert len(both.tables["labs"]) == 2 * len(patients(20, 5).tables["labs"])
    train, holdout = patients(60, 6), patients(60, 7)
    results = evaluate(
        evidence(train, holdout, patients(40, 8), patients(40, 9)),
        seed=0,
        metrics=["column_shapes", "inference"],
        attacks=["membership"],
        with_views=False,
    )
    assert len(results["column_shapes"].details["releases"]) == 2
    assert results["inference"].value is not None
    assert results["membership"].value is not None


def test_the_order_of_rows_changes_nothing(good):
    names = [name for name, entry in METRICS.items() if entry.modality == "records"]
    names += ["column_shapes", "pair_trends", "rare_values"]
    other = evidence(*(reordered(side, i) for i, side in enumerate((good.train, good.holdout, *good.synthetic))))
    first, second = (evaluate(data, seed=0, metrics=names, attacks=[], with_views=False) for data in (good, other))
    assert [metric.details for metric in first.metrics] == [metric.details for metric in second.metrics]
    assert first == second
