from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from manikin.evaluation.base import Results
from manikin.report.blocks import Chapter, Dial, Heading, walk
from manikin.report.sections import SECTIONS, chapters

from .made import column_names, made_metrics


def test_every_registered_section_can_be_imported_and_called() -> None:
    for name in SECTIONS:
        assert isinstance(SECTIONS.load(name)(Results(())), tuple)
        assert SECTIONS[name].title


def test_all_chapters_are_there_in_order(all_chapters: tuple[Chapter, ...]) -> None:
    of_tables = [name for name in SECTIONS if name not in ("histories", "images")]  # of linked patients, of images
    assert [chapter.anchor for chapter in all_chapters] == of_tables


def test_every_metric_is_shown_once(results: Results, all_chapters: tuple[Chapter, ...]) -> None:
    shown = [block.name for chapter in all_chapters for block in walk(chapter.blocks) if isinstance(block, Dial)]
    assert sorted(shown) == sorted(metric.name for metric in results.figures)


def test_a_release_of_which_nothing_could_be_measured_still_has_a_report() -> None:
    bare = tuple(
        replace(m, value=None, interval=None, reference=None, details={}, note="Not computed: one row.")
        for m in made_metrics(column_names(2))
    )
    dials = [block for chapter in chapters(Results(bare)) for block in walk(chapter.blocks) if isinstance(block, Dial)]
    assert len(dials) == len(bare)
    assert {dial.note for dial in dials} == {"Not computed: one row."}


def test_headings_go_down_one_step_at_a_time(all_chapters: tuple[Chapter, ...]) -> None:
    for chapter in all_chapters:
        levels = [2, *(block.level for block in walk(chapter.blocks) if isinstance(block, Heading))]
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
