from __future__ import annotations

from manikin.evaluation.base import Results
from manikin.report.blocks import Banner, Verdict, walk
from manikin.report.record import Record, read_record
from manikin.report.summary import made_from, summary


def test_the_first_thing_said_is_that_the_page_is_internal(results: Results) -> None:
    first = summary(results)[0]
    assert isinstance(first, Banner)
    assert "Internal" in first.title
    assert "real patients" in first.text


def test_there_are_three_answers_and_each_has_sentences_with_figures(results: Results) -> None:
    verdicts = [block for block in walk(summary(results)) if isinstance(block, Verdict)]
    assert len(verdicts) == 3
    for verdict in verdicts:
        assert "95 % interval" in " ".join(verdict.reasons)


def test_no_answer_says_that_a_table_is_free_of_risk(results: Results) -> None:
    told = repr(summary(results)).lower()
    assert "anonym" not in told
    assert "no risk" not in told


def test_what_was_made_from_what_says_only_what_is_known(results: Results) -> None:
    assert made_from(Record()) == "A synthetic table was made."
    told = made_from(read_record(results.run))
    assert told.startswith(
        "550 synthetic rows of 6 columns were made by the generator “autoregressive”, which learned from 550 real rows"
    )
    assert "136 real rows were set aside" in told
    assert "surname" in told


def test_a_file_of_unknown_make_is_not_said_to_be_real(results: Results) -> None:
    run = {"title": "theirs.csv", "rows": {"train": 10, "holdout": 5, "synthetic": 20}}
    told = made_from(read_record(run))
    assert told.startswith("20 synthetic rows (“theirs.csv”) were made from 10 real rows.")
    assert "must not have seen" in told
