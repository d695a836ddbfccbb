from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.records.made import evidence, patients, shuffled
from manikin.data.dataset import Dataset, split
from manikin.evaluation import METRICS
from manikin.evaluation.base import Results
from manikin.evaluation.records.linked import prepare_linked
from manikin.evaluation.records.views import views_of_histories
from manikin.evaluation.results_file import read_results, write_results
from manikin.evaluation.suite import evaluate
from manikin.report import records_figures, timeline_figures
from manikin.report.answers import resembles
from manikin.report.blocks import Block, Chapter, Figure, Heading, Level, Table, Text, walk
from manikin.report.records import histories
from manikin.report.render import page
from manikin.report.sections import SECTIONS
from manikin.report.summary import summary
from manikin.report.timeline_figures import Lane, timeline
from report.test_render import browser, measured_on_a_phone


@pytest.fixture(scope="module")
def judged() -> Results:
    """Figures and views of a release whose diagnoses hang on nothing."""
    train, holdout = split(patients(160, 1), holdout=0.4, seed=0)
    names = [name for name, entry in METRICS.items() if entry.modality == "records"]
    data = prepare_linked(evidence(train, holdout, shuffled(patients(70, 2), "diagnoses", ["icd"], 3)))
    found = evaluate(data, seed=0, metrics=[*names, "column_shapes"], attacks=["trajectory_copies"], with_views=False)
    return replace(found, views={"records": views_of_histories(data, seed=0)}, run={"title": "made"})


@pytest.fixture(scope="module")
def chapter(judged: Results) -> tuple[Block, ...]:
    """The chapter's blocks."""
    return histories(judged)


def test_columns_that_lost_something_are_named(judged, chapter):
    assert judged.views["records"]["columns"] == []
    assert not any(isinstance(block, Heading) and block.text == "Columns that lost something" for block in walk(chapter))
    train, holdout = split(patients(60, 1), holdout=0.4, seed=0)
    fake = patients(40, 2)
    codes = fake.tables["diagnoses"]
    one = codes.frame.assign(icd=pd.Categorical([codes.frame["icd"].iloc[0]] * len(codes.frame)))
    hollow = fake.tables["labs"]
    hollow = replace(hollow, marks={**hollow.marks, "value": np.ones(len(hollow.frame), dtype=np.int8)})
    made = Dataset({**fake.tables, "diagnoses": replace(codes, frame=one), "labs": hollow}, fake.schema)
    view = views_of_histories(prepare_linked(evidence(train, holdout, made)), seed=0)
    assert {(one["table"], one["column"], one["what"]) for one in view["columns"]} == {
        ("diagnoses", "icd", "one value"),
        ("labs", "value", "empty"),
    }
    shown = histories(replace(judged, views={"records": view}))
    (text,) = [block.text for block in walk(shown) if isinstance(block, Text) and "Beside the real rows" in block.text]
    assert "1 column is empty; 1 column holds one value" in text


def test_the_chapter_shows_patients_codes_steps_values_and_what_is_measured(chapter):
    blocks = walk(chapter)
    heads = [block.text for block in blocks if isinstance(block, Heading)]
    assert heads == [
        "Patients side by side",
        "How long, and how far apart",
        "Codes",
        "What follows what",
        "Measured numbers",
        "What is measured",
        "Calendar",
    ]
    titles = [block.title for block in blocks if isinstance(block, Figure)]
    assert {"Real patient A", "Synthetic patient A", "How frequent codes are", "How values go on"} <= set(titles)
    tables = {block.caption for block in blocks if isinstance(block, Table)}
    assert "Patients who have the code, largest difference first" in tables


def test_a_timeline_has_a_lane_for_each_table_and_number_and_no_key(judged):
    pair = judged.views["records"]["timelines"][0]
    for side in ("real", "synthetic"):
        one = pair[side]
        assert [bar["table"] for bar in one["bars"]] == ["admissions"]
        assert {line["part"] for line in one["lines"]} == {"creatinine", "glucose", "lactate", "sodium"}
        assert one["events"] == sum(len(bar["spans"]) for bar in one["bars"]) + sum(
            len(line["times"]) for line in one["lines"]
        ) + sum(dot["n"] for dot in one["dots"])
        assert min(line["times"][0] for line in one["lines"] if line["times"]) >= 0
    assert abs(pair["real"]["events"] - pair["synthetic"]["events"]) <= 0.2 * pair["real"]["events"]
    text = str(judged.views["records"])
    assert "p1-" not in text
    assert "p2-" not in text


def test_a_number_that_never_changes_gets_no_lane():
    def flat(data: Dataset) -> Dataset:
        table = data.tables["labs"]
        value = table.frame["value"].where(table.frame["test"] != "sodium", 140.0)
        return replace(data, tables={**data.tables, "labs": replace(table, frame=table.frame.assign(value=value))})

    train, holdout = split(flat(patients(80, 1)), holdout=0.4, seed=0)
    views = views_of_histories(prepare_linked(evidence(train, holdout, flat(patients(40, 2)))), seed=0)
    for pair in views["timelines"]:
        assert {line["part"] for line in pair["real"]["lines"]} <= {"creatinine", "glucose", "lactate"}


@pytest.mark.skipif(browser() is None, reason="no headless Chromium is installed here")
def test_the_page_speaks_of_patients_and_fits_a_phone(judged, chapter, tmp_path):
    assert any("Figures of whole patients look at one line for each" in getattr(block, "text", "") for block in summary(judged))
    assert SECTIONS["histories"].path.endswith(f"{histories.__module__.split('.')[-1]}:histories")
    html = page((Chapter("histories", "Histories of patients", chapter),), title="made")
    measured = measured_on_a_phone(html, tmp_path)
    assert measured["scroll"] <= 390


def test_lost_keys_and_rows_after_death_weigh_on_the_answer(judged):
    told = resembles(judged)
    assert "Every key leads to a row, is unique and is no real patient's." in told.reasons
    spoilt = {"key_integrity": {"details": {"n_wrong": 3}}, "chronology": {"value": 0.3, "interval": (0.28, 0.32)}}
    worse = tuple(replace(metric, **spoilt.get(metric.name, {})) for metric in judged.metrics)
    answer = resembles(replace(judged, metrics=worse))
    assert answer.level is Level.POOR
    assert any(reason.startswith("3 keys are wrong") for reason in answer.reasons)
    assert any("at a time that cannot be" in reason for reason in answer.reasons)


def test_results_of_histories_are_written_and_read(judged, tmp_path):
    again = read_results(write_results(judged, tmp_path / "results.json"))
    assert [figure.name for figure in again.figures] == [figure.name for figure in judged.figures]
    assert again.views == judged.views
    assert [figure.details for figure in again.figures] == [figure.details for figure in judged.figures]


def test_of_a_flat_table_the_chapter_is_empty():
    assert histories(Results(metrics=())) == ()


def test_a_patient_without_times_and_a_hostile_name_are_drawn():
    drawn = timeline([Lane("<script>", times=()), Lane("b", bounds=(0.0, 1.0))], days=0.0, is_synthetic=True)
    assert drawn.startswith("<svg")
    assert "<script>" not in drawn


@pytest.mark.parametrize("module", [records_figures, timeline_figures])
def test_the_examples_in_docstrings_hold(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_every_key_of_the_view_is_documented(judged):
    page = (Path(__file__).resolve().parents[2] / "docs" / "results-schema.md").read_text(encoding="utf-8")
    keys = {*judged.views["records"], *judged.views["records"]["timelines"][0]["real"]}
    keys |= {key for metric in judged.metrics if metric.name != "column_shapes" for key in metric.details}
    missing = [key for key in sorted(keys) if f"`{key}`" not in page and not key.endswith(("_reference", "_interval"))]
    assert missing == []


def test_tables_with_far_fewer_rows_are_named(judged, chapter):
    said = "Fewer rows a patient than in the real tables"
    assert not any(isinstance(block, Text) and said in block.text for block in walk(chapter))
    view = judged.views["records"]
    tables = [{**one, "synthetic": one["synthetic"] // 2} if one["table"] == "diagnoses" else one for one in view["tables"]]
    shown = histories(replace(judged, views={"records": {**view, "tables": tables}}))
    (text,) = [block.text for block in walk(shown) if isinstance(block, Text) and said in block.text]
    assert "diagnoses (" in text
    assert "labs (" not in text
