"""One cap for torch, OpenMP and BLAS together."""

from __future__ import annotations

import os

import pytest

from manikin.data.errors import ParameterError
from manikin.workflow.threads import MOST_BY_DEFAULT, cap_threads, physical_cores


def test_the_wish_holds_for_every_library() -> None:
    env = {"MANIKIN_THREADS": "3", "OMP_NUM_THREADS": "9"}
    assert cap_threads(env) == 3
    assert {env[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"3"}


def test_without_a_wish_the_users_own_cap_holds_then_the_cores() -> None:
    assert cap_threads({"OMP_NUM_THREADS": "2"}) == 2
    assert cap_threads({}) == min(physical_cores(), MOST_BY_DEFAULT)


def test_physical_cores_are_no_more_than_the_logical_ones() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("wish", ["0", "-1", "many", ""])
def test_a_wrong_wish_is_refused(wish: str) -> None:
    with pytest.raises(ParameterError, match="MANIKIN_THREADS must be a whole number"):
        cap_threads({"MANIKIN_THREADS": wish})
