"""What a row is called: a patient where whole patients are judged, an image where images are, a row in chapters of tables."""

from __future__ import annotations

import pytest

from manikin.evaluation.base import Direction, MetricResult, Results, Section
from manikin.report.blocks import Chapter, Fold, Grid, Table, Text
from manikin.report.nouns import named_after, noun_of, worded


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("One real and one synthetic row, unseen real rows 52.", "One real and one synthetic patient, unseen real patients 52."),
        ("All rows on a map", "All patients on a map"),
        ("208 rows learned from; 52 rows set aside before.", "208 patients learned from; 52 patients set aside before."),
        ("Rows that repeat another row", "Patients that repeat another patient"),
        ("260 patients, 3,507 rows in 3 tables", "260 patients, 3,507 rows in 3 tables"),
        ("A synthetic table was made.", "Synthetic patients were made."),
        ("labs: rows × stays: rows", "labs: rows × stays: rows"),
        ("Perhaps; too few rows to be sure", "Perhaps; too few patients to be sure"),
    ],
)
def test_words(text: str, told: str) -> None:
    assert worded(text, "patients") == told
    assert worded(text, "rows") == text


def test_chapters_of_tables_keep_their_rows_and_drawings_stay() -> None:
    blocks = (Fold("All real rows", (Text("a synthetic row"), Table(("Training rows",), (("1",),), "c"))), Grid(()))
    made = named_after(Chapter("columns", "Rows", blocks), "images")
    assert made.blocks[0].summary == "All real images"
    assert made.blocks[0].blocks[0].text == "a synthetic image"
    assert made.blocks[0].blocks[1].head == ("Training images",)
    assert made.blocks[1].legend == ("real images", "synthetic images")
    assert named_after(Chapter("histories", "Rows", blocks), "patients").blocks == blocks


def test_the_noun_follows_what_was_judged() -> None:
    def results(name: str) -> Results:
        return Results((MetricResult(name, name, Section.FIDELITY, Direction.HIGHER, 1.0),))

    assert [noun_of(results(name)) for name in ("c2st", "key_integrity", "image_c2st")] == ["rows", "patients", "images"]
