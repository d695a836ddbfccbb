from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import Results
from manikin.report.blocks import Chapter, Figure, Fold, Grid, Table, Text, walk
from manikin.report.resemblance import likeness, maps, missing, overlays, relations, shape_gap, worst_columns

from .made import made_results


def test_the_worst_column_comes_first_by_what_it_loses_against_real_rows(results: Results) -> None:
    gaps = [shape_gap(row) for row in worst_columns(results)]
    assert gaps == sorted(gaps, reverse=True)
    table = next(block for block in likeness(results) if isinstance(block, Table))
    assert table.rows[0][0] == worst_columns(results)[0]["column"]


def test_pictures_of_columns_are_in_the_order_of_the_table(results: Results, all_chapters: tuple[Chapter, ...]) -> None:
    (columns,) = (chapter for chapter in all_chapters if chapter.anchor == "columns")
    drawn = [block.title for block in walk(columns.blocks) if isinstance(block, Figure)]
    assert drawn == [row["column"] for row in worst_columns(results)]


def test_many_columns_are_all_there_and_most_are_folded() -> None:
    blocks = overlays(made_results(15))
    assert len([block for block in walk(blocks) if isinstance(block, Figure)]) == 15
    open_grid = next(block for block in blocks if isinstance(block, Grid))
    assert len(open_grid.figures) == 12
    assert any(isinstance(block, Fold) for block in blocks)


def test_one_column_has_a_picture_and_no_relations() -> None:
    narrow = made_results(1)
    assert len([block for block in walk(overlays(narrow)) if isinstance(block, Figure)]) == 1
    assert relations(narrow) == ()


def test_rare_levels_are_taken_together_and_none_is_lost() -> None:
    view = {
        "column": "ward",
        "levels": [f"l{i}" for i in range(12)] + ["(other)"],
        "train": [0.05] * 12 + [0.4],
        "synthetic": [1 / 13] * 13,
    }
    (text, grid) = overlays(Results((), {"columns": [view]}))
    assert isinstance(text, Text)
    assert isinstance(grid, Grid)
    assert "(all others)" in grid.figures[0].svg
    assert "(other)" not in grid.figures[0].svg
    assert "taken together" in grid.figures[0].caption


def test_the_heat_maps_of_a_wide_table_show_the_columns_that_differ_most() -> None:
    wide = made_results(60)
    text, grid = relations(wide)
    assert isinstance(text, Text)
    assert "30 of 60 columns" in text.text
    assert isinstance(grid, Grid)
    assert [figure.title for figure in grid.figures] == ["Real rows", "Synthetic rows", "Synthetic minus real"]


def test_the_largest_difference_is_named_with_its_direction() -> None:
    view = {
        "columns": ["age", "sex", "ward"],
        "train": [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]],
        "synthetic": [[1, 0.1, 0], [0.1, 1, 0.2], [0, 0.2, 1]],
    }
    text, _ = relations(Results((), {"associations": view}))
    assert isinstance(text, Text)
    assert "age and sex, weaker by 0.40" in text.text


def test_missing_cells_are_told_in_words_for_those_who_do_not_see_the_picture(results: Results) -> None:
    figure = next(block for block in walk(missing(results)) if isinstance(block, Figure))
    assert "column_00: 12.0 % of the real cells and 22.0 % of the synthetic ones" in figure.alt


def test_a_table_without_missing_cells_says_so(results: Results) -> None:
    note = "Not computed: no cell is missing on any side."
    bare = replace(
        results, metrics=tuple(replace(m, details={}, note=note) if m.name == "missingness" else m for m in results.metrics)
    )
    assert [block.text for block in missing(bare) if isinstance(block, Text)] == [note]


def test_maps_that_were_not_drawn_leave_no_chapter(results: Results) -> None:
    assert len([block for block in walk(maps(results)) if isinstance(block, Figure)]) == 2
    assert maps(replace(results, views={"pca": {}, "tsne": {}})) == ()


def test_every_figure_says_how_to_read_it_and_what_it_shows(all_chapters: tuple[Chapter, ...]) -> None:
    drawn = [block for chapter in all_chapters for block in walk(chapter.blocks) if isinstance(block, Figure)]
    assert len(drawn) >= 13
    for block in drawn:
        assert len(block.caption) > 25
        assert len(block.alt) > 25
