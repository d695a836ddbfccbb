"""Kappas against published worked examples, and their edges."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from manikin.evaluation.intervals import wilson
from manikin.evaluation.readers.agreement import cohen, fleiss, standard_error

# Fleiss 1971 (doi:10.1037/h0031619), table 1: 30 patients, 6 psychiatrists, 5 diagnoses (depression, personality disorder,
# schizophrenia, neurosis, other), as counts; the paper gives kappa 0.430.
FLEISS_1971 = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""
# 10 subjects, 14 raters, 5 categories: the worked example of https://en.wikipedia.org/wiki/Fleiss%27_kappa, 0.210
FOURTEEN = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def answers(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array(table)
    k = len(counts)
    return np.repeat(np.arange(k * k) // k, counts.ravel()), np.repeat(np.arange(k * k) % k, counts.ravel())


def test_fleiss_on_the_table_of_his_paper() -> None:
    table = np.array([[int(digit) for digit in row] for row in FLEISS_1971.split()])
    assert table.shape == (30, 5)
    assert (table.sum(axis=1) == 6).all()
    assert list(table.sum(axis=0)) == [26, 26, 30, 55, 43]
    found = fleiss(table)
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert found.value == pytest.approx(0.4302445, abs=1e-7)  # R's irr::kappam.fleiss(diagnoses)
    assert found.observed == pytest.approx(0.556, abs=1e-3)
    assert found.interval is not None
    assert found.interval[0] < 0.43 < found.interval[1]


def test_fleiss_on_fourteen_raters() -> None:
    found = fleiss(FOURTEEN)
    assert (found.value, found.observed, found.expected) == pytest.approx((0.210, 0.378, 0.213), abs=5e-4)


def test_cohen_on_his_example_of_three_diagnoses() -> None:
    # proportions .44 .05 .01 / .07 .20 .03 / .09 .05 .06 of N = 200 (Cohen 1960, 1968): po .70, pc .41, kappa .492
    found = cohen(*answers([[88, 10, 2], [14, 40, 6], [18, 10, 12]]))
    assert (found.value, found.observed, found.expected) == pytest.approx((0.492, 0.70, 0.41), abs=1e-3)
    assert found.interval == pytest.approx((0.39, 0.59), abs=5e-3)  # R's psych::cohen.kappa on the same table


def test_the_standard_error_is_that_of_sas() -> None:
    # PROC FREQ's output for this table, as statsmodels' tests hold it: kappa 0.4842, ASE 0.1380, limits 0.2137 and 0.7547
    table = [[0, 4, 1], [0, 8, 0], [0, 1, 5]]
    assert cohen(*answers(table)).value == pytest.approx(0.4842, abs=5e-5)
    assert standard_error(table) == pytest.approx(0.1380, abs=5e-5)
    assert cohen(*answers(table)).interval == pytest.approx((0.2137, 0.7547), abs=1e-4)


def test_wilson_on_the_values_of_newcombe() -> None:
    # Newcombe 1998 (doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I, method 3
    for hits, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]:
        assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_two_answers_hold_the_value_in_their_interval() -> None:
    for table in ([[20, 5], [10, 15]], [[0, 25], [0, 25]], [[3, 0], [0, 3]], [[0, 3], [3, 0]], [[1, 9], [0, 0]]):
        found = cohen(*answers(table))
        assert found.interval is not None
        assert -1 <= found.interval[0] <= found.value <= found.interval[1] <= 1
    assert cohen(*answers([[20, 5], [10, 15]])).value == pytest.approx(0.4)  # the example of wikipedia's page on Cohen's kappa


def test_many_alike_answers_are_the_same_however_many_readers() -> None:
    a, b = answers([[20, 5], [10, 15]])
    pair = np.array([[int(a[i] == k) + int(b[i] == k) for k in (0, 1)] for i in range(50)])
    share = (a.mean() + b.mean()) / 2
    expected = share**2 + (1 - share) ** 2  # Scott's pi, which Fleiss' kappa is for two
    assert fleiss(pair).value == pytest.approx((0.7 - expected) / (1 - expected))


def test_what_is_not_defined_says_so() -> None:
    assert isnan(cohen([], []).value)
    assert isnan(cohen([1, 1], [1, 1]).value)  # everybody always says the same: chance agrees as well
    assert cohen([1, 1], [1, 1]).observed == 1
    assert isnan(fleiss(np.zeros((0, 2))).value)
    assert isnan(fleiss([[1, 0], [0, 1]]).value)  # one reader each
    assert isnan(fleiss([[2, 0], [2, 0]]).value)
    assert fleiss([[2, 0], [0, 3], [1, 0]]).n == 2
    assert fleiss([[2, 0], [0, 3]]).value == pytest.approx(1)
