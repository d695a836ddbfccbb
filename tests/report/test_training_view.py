"""How a generator learned, drawn from planted runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from manikin.evaluation.base import Results
from manikin.report.blocks import Banner, Block, Facts, Figure, Filmstrip, Heading, Text, walk
from manikin.report.making import making
from manikin.report.render import render_html
from manikin.report.training_figures import frame
from manikin.report.training_view import MOST_FIELDS, MOST_FRAMES, training_blocks

COLLAPSE = (
    "Mode collapse shows at step 40: a sample holds 30 % of the common levels and repeats 80 % of its rows (patients: 2 %)."
)


def shares(k: int, moved: float) -> list[float]:
    """Twelve bins, of which the first takes `moved` from the others."""
    return [moved if i == 0 else (1 - moved) / 11 for i in range(12)] if k else [1 / 12] * 12


def gan_run(n: int = 20, n_frames: int = 8, n_fields: int = 9) -> dict[str, Any]:
    signals = [
        {
            "step": 10.0 * i,
            "loss: critic": 5.0 / i,
            "loss: generator": 1.0,
            "gradient: critic": 7.0,
            "gradient: generator": 10.0 ** (i % 3),
            "accuracy real": 0.5 + i / 100,
            "accuracy synthetic": 0.5,
            "wasserstein": 1.0 / i,
            "coverage": 1 - i / 100,
            "duplicates": 0.01 * i,
            "duplicates of train": 0.02,
            "drift": 0.3 + abs(i - 12) / 100,
        }
        for i in range(1, n + 1)
    ]
    fields = [f"field {k}" for k in range(n_fields)]
    film = [
        {"step": 10 * (1 + 2 * m), "bins": {name: shares(m, 0.1 + 0.01 * k * m) for k, name in enumerate(fields)}}
        for m in range(n_frames)
    ]
    return {
        "planned_steps": 300,
        "steps": 10 * n,
        "stopped_because": "no better on held-out rows",
        "best_step": 120,
        "curve": [[row["step"], 2.0, row["drift"]] for row in signals],
        "warnings": [],
        "signals": signals,
        "film": film,
        "bins of train": {name: [1 / 12] * 12 for name in fields},
    }


@pytest.fixture(scope="module")
def gan_blocks() -> tuple[Block, ...]:
    return training_blocks(gan_run())


def of(blocks: tuple[Block, ...], kind: type) -> list[Any]:
    return [block for block in walk(blocks) if isinstance(block, kind)]


def test_an_adversarial_run_has_one_drawing_for_each_question(gan_blocks: tuple[Block, ...]) -> None:
    drawn = of(gan_blocks, Figure)
    assert [figure.title for figure in drawn] == [
        "Losses",
        "Can the critic tell them apart?",
        "Gap in the critic's scores",
        "Distance from held-out rows",
        "Common levels that occur",
        "Repeated rows",
        "Size of the steps asked for",
    ]
    apart, distance, repeated = drawn[1], drawn[3], drawn[5]
    assert "a draw, 50 %" in apart.svg
    assert "50 %" in apart.caption
    assert "51 % at step 10, 70 % at step 200" in apart.alt
    assert ">kept<" in distance.svg
    assert "best 0.300 at step 120" in distance.alt
    assert "patients" in repeated.svg
    assert "2 % at step 10" in repeated.alt
    for figure in drawn:
        assert figure.caption
        assert re.search(r"\d", figure.alt)


def test_the_story_says_what_happened_and_what_is_kept(gan_blocks: tuple[Block, ...]) -> None:
    told = " ".join(text.text for text in of(gan_blocks, Text))
    assert "200 of 300 planned steps" in told
    assert "weights of step 120" in told
    assert "0.300" in told
    assert "nothing to warn of" in told


def test_a_planted_collapse_is_told_in_the_report() -> None:
    run = gan_run(1) | {"warnings": [COLLAPSE], "stopped_because": "collapsed: a sample repeats 80 % of its rows at step 90"}
    blocks = making(Results((), run={"training": run}))
    assert [banner.text for banner in of(blocks, Banner)] == [COLLAPSE]
    told = " ".join(text.text for text in of(blocks, Text))
    assert "it was stopped: collapsed" in told
    assert "nothing to warn of" not in told
    assert "Mode collapse shows at step 40" in render_html(Results((), run={"training": run}))


def test_the_filmstrip_shows_what_moved_most_over_the_train_rows(gan_blocks: tuple[Block, ...]) -> None:
    strips = of(gan_blocks, Filmstrip)
    assert len(strips) == MOST_FIELDS
    assert strips[0].title == "field 8"  # planted to move most
    assert [len(strip.frames) for strip in strips] == [MOST_FRAMES] * MOST_FIELDS
    assert strips[0].frames[0].text == "step 10"
    assert [frame.text for frame in strips[0].frames if frame.is_marked] == ["step 110, nearest"]
    assert "0 % at step 10" in strips[0].alt
    assert all("var(--real" in frame.svg and "var(--synthetic" in frame.svg for frame in strips[0].frames)


def test_an_exact_moment_is_marked_as_kept() -> None:
    strips = of(training_blocks(gan_run(1) | {"best_step": 70}), Filmstrip)
    assert [frame.text for frame in strips[0].frames if frame.is_marked] == ["step 70, kept"]


def test_the_section_is_small_and_runs_no_script(gan_blocks: tuple[Block, ...]) -> None:
    strips = of(gan_blocks, Filmstrip)
    assert sum(len(frame.svg) for strip in strips for frame in strip.frames) < 100_000
    drawn = "".join(figure.svg for figure in of(gan_blocks, Figure)) + "".join(f.svg for s in strips for f in s.frames)
    assert len(drawn) < 300_000
    assert "<script" not in drawn
    assert "<image" not in drawn
    assert " id=" not in "".join(frame.svg for strip in strips for frame in strip.frames)


def test_a_long_film_is_thinned_and_keeps_its_ends() -> None:
    frames = of(training_blocks(gan_run(1, n_frames=30)), Filmstrip)[0].frames
    assert len(frames) == MOST_FRAMES
    assert (frames[0].text, frames[-1].text) == ("step 10", "step 590")


@pytest.mark.parametrize("lost", ["film", "bins of train", "signals", "curve", "best_step", "steps", "warnings"])
def test_nothing_is_required(lost: str) -> None:
    run = gan_run(1)
    del run[lost]
    blocks = training_blocks(run)
    assert isinstance(blocks[0], Heading)
    strips = of(blocks, Filmstrip)
    assert (len(strips) == 0) == (lost == "film")
    if lost == "bins of train":
        assert "var(--real" not in strips[0].frames[0].svg
        assert "changed their group" in strips[0].alt


def test_a_run_without_a_critic_shows_its_losses() -> None:
    run = {
        "steps": 400,
        "best_step": 400,
        "curve": [[100, 2.0, 2.2], [200, 1.5, 1.9]],
        "signals": [{"step": s, "loss: denoising": 1.0, "gradient: denoising": 0.0, "curiosity": 2.0} for s in (100.0, 200.0)],
    }
    drawn = of(training_blocks(run), Figure)
    assert [figure.title for figure in drawn] == ["Training curve", "Size of the steps asked for", "Curiosity"]
    assert "Its last weights are used" in " ".join(text.text for text in of(training_blocks(run), Text))


def test_a_likelihood_bound_is_marked_where_it_was_best() -> None:
    rows = [{"step": float(s), "bound": -9.0 + s, "divergence": 3.0, "drift": 0.2} for s in (1, 2, 3)]
    drawn = {figure.title: figure for figure in of(training_blocks({"steps": 3, "best_step": 2, "signals": rows}), Figure)}
    assert "best weights are kept" in drawn["Likelihood of held-out"].caption
    assert "best weights are kept" not in drawn["Distance from held-out rows"].caption


def test_odd_records_are_passed_over() -> None:
    run = {"signals": [1, {"step": "x"}, {"step": 1.0, "drift": None}], "film": [{}, {"bins": 3}], "steps": True, "odd": None}
    assert of(training_blocks(run), Figure) == []
    assert training_blocks({}) == ()
    (facts,) = of(training_blocks({"steps": 3}), Facts)
    assert facts.items == (("Steps", "3"),)


def test_names_of_fields_are_escaped_on_the_page() -> None:
    run = gan_run(1, n_fields=1)
    run["film"] = [{"step": one["step"], "bins": {"<b>age</b>": one["bins"]["field 0"]}} for one in run["film"]]
    page = render_html(Results((), run={"training": run}))
    assert "<b>age" not in page
    assert "&lt;b&gt;age" in page


def test_a_frame_is_a_filling_under_an_outline_of_the_same_height() -> None:
    svg = frame([0.5, 0.5], [1.0, 0.0], most=1.0)
    filled, outline = re.findall(r'd="([^"]*)"', svg)
    assert filled == "M0.5 54V3H47.5V54Z"
    assert outline == "M1 54V28.5H48V28.5H95V54"
