from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from manikin.data.errors import DataError, FitError, ParameterError
from manikin.workflow.study import learning_curve
from manikin.workflow.study.learning_curve import CurveOptions, study_learning_curve

OPTIONS = CurveOptions(target="cens", synthesizers=("independent",), sizes=(30, 100, 5000), repeats=2, seed=1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lifelines.datasets import load_gbsg2

    path = tmp_path_factory.mktemp("curve") / "women.csv"
    load_gbsg2().head(250).to_csv(path, index=False)
    return path


def test_a_curve_of_nested_patients(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = learning_curve.fit, []

    def watched(name: str, data: Any, **kwargs: Any) -> Any:
        seen.append({tuple(row) for row in data.to_pandas().astype(str).to_numpy()})
        return real(name, data, **kwargs)

    monkeypatch.setattr(learning_curve, "fit", watched)
    done = study_learning_curve(table, out=tmp_path / "curve", options=OPTIONS)
    document = json.loads(done.files["results"].read_text())
    assert document["design"]["sizes"] == [30, 100]
    assert any("left out" in notice for notice in document["notices"])
    assert [len(rows) for rows in seen] == [30, 100, 30, 100]
    assert seen[0] < seen[1]
    curves = {(line["name"], line["figure"]): [point["mean"] for point in line["points"]] for line in document["curves"]}
    assert set(curves) == {("real", "excess"), ("independent", "c2st"), ("independent", "excess")}
    assert curves["real", "excess"][1] > curves["independent", "excess"][1] + 0.3  # no dependence, nothing to learn
    assert curves["independent", "c2st"][1] > 0.6
    assert "size_curve" not in done.files["report"].read_text()
    assert done.files["report"].read_text().count("<svg") >= 2


def test_a_generator_that_cannot_learn_from_so_few_is_a_result(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = learning_curve.fit

    def failing(name: str, data: Any, **kwargs: Any) -> Any:
        if len(data) < 50:
            raise FitError("Too few.")
        return real(name, data, **kwargs)

    monkeypatch.setattr(learning_curve, "fit", failing)
    options = CurveOptions(target="cens", synthesizers=("independent",), sizes=(30, 100), repeats=1, seed=1)
    done = study_learning_curve(table, out=tmp_path / "curve", options=options)
    line = next(line for line in done.document["curves"] if line["figure"] == "c2st")
    assert [point["mean"] is None for point in line["points"]] == [True, False]
    assert "failed" in done.files["report"].read_text()
    assert "independent failed on 1 of 2 points, which are left out: Too few." in done.document["notices"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sizes": (5,)}, "sizes"),
        ({"sizes": ()}, "at least one number of patients"),
        ({"seed": -1}, "seed"),
        ({"repeats": 0}, "repeats"),
        ({"synthesizers": ()}, "at least one"),
        ({"synthesizers": ("auto",)}, "auto"),
    ],
)
def test_options_outside_their_domain_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        CurveOptions(**{"target": "cens", **wrong}).check()


@pytest.mark.parametrize(("n", "change", "words"), [(250, {"cens": 1}, "'cens' has one value only"), (19, {}, "Only 15 patients")])
def test_tables_that_no_curve_can_be_drawn_of_are_refused(
    table: Path, tmp_path: Path, n: int, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "t.csv"
    pd.read_csv(table).head(n).assign(**change).to_csv(path, index=False)
    with pytest.raises(DataError, match=words):
        study_learning_curve(path, out=tmp_path / "curve", options=OPTIONS)
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_sizes_beyond_the_table_are_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="200 patients"):
        study_learning_curve(table, out=tmp_path / "curve", options=CurveOptions(target="cens", sizes=(1000,)))
