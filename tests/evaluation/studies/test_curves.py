from __future__ import annotations

import pytest

from manikin.evaluation.studies.curves import curve, enough_from, excess, sentence


def test_excess_is_of_the_learner_that_real_rows_favour() -> None:
    whole = {"trtr": {"booster": 0.8, "linear": 0.9}, "measure": "AUROC"}
    found = {"tstr": {"booster": 0.9, "linear": 0.7}, "tstr_interval": {"booster": [0.8, 1.0], "linear": [0.66, 0.74]}}
    assert excess(found, whole) == pytest.approx((0.5, 0.1))
    assert excess({"tstr": {}}, whole) is None
    assert excess(found, {"trtr": {"booster": 0.505}, "measure": "AUROC"}) is None


def test_one_measurement_bounds_what_repeats_can_show() -> None:
    (line,) = curve({100: [(0.6, 0.05), (0.6, 0.05), None]})
    assert line["interval"] == pytest.approx([0.55, 0.65])
    assert line["n"] == 2
    (wider,) = curve({100: [(0.5, 0.05), (0.7, 0.05)]})
    assert wider["interval"][0] < 0.45


def test_a_curve_is_flat_only_from_where_it_stays_flat() -> None:
    lines = curve({100: [(0.60, 0.02)], 200: [(0.75, 0.02)], 500: [(0.61, 0.02)], 1000: [(0.60, 0.02)]})
    assert enough_from(lines) == 500
    assert "from 500 on" in sentence("forest", "C2ST AUC", lines)
    falling = curve({100: [(0.9, 0.02)], 200: [(0.7, 0.02)]})
    assert "still changes" in sentence("forest", "C2ST AUC", falling)
    assert "could not be measured" in sentence("forest", "C2ST AUC", curve({100: [None]}))
