from __future__ import annotations

from dataclasses import replace
from typing import Any

from manikin.evaluation.base import Results
from manikin.report.blocks import Bullets, Lights, Passed, Text, walk
from manikin.report.policies import policies


def check(name: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {"check": name, "title": name.capitalize(), "verdict": verdict, "measured": "3.1 % [1.9, 4.4]", "limit": "<= 7.4 %"} | more


def decided(results: Results, *made: Any) -> Results:
    return replace(results, run={**results.run, "policies": list(made)})


def lights(results: Results) -> Lights:
    return next(block for block in walk(policies(results)) if isinstance(block, Lights))


def test_each_check_is_a_row_and_each_policy_a_column(results: Results) -> None:
    made = decided(
        results,
        {"policy": "internal", "version": "1", "verdict": "pass", "checks": [check("membership", "pass")]},
        {
            "policy": "open",
            "verdict": "fail",
            "checks": [check("membership", "fail", limit="<= 2.7 %"), check("power", "insufficient evidence")],
        },
    )
    table = lights(made)
    assert [(name, light.verdict, light.word) for name, light in table.policies] == [
        ("internal", Passed.PASS, "pass"),
        ("open", Passed.FAIL, "fail"),
    ]
    assert [(title, [light.verdict for light in row]) for title, _, row in table.rows] == [
        ("Membership", [Passed.PASS, Passed.FAIL]),
        ("Power", [Passed.OPEN, Passed.INSUFFICIENT]),
    ]
    assert table.rows[0][2][1].limit == "≤ 2.7 %"
    assert "internal v1" in table.caption


def test_reasons_are_folded_with_the_failed_checks_first(results: Results) -> None:
    checks = [check("copies", "pass"), check("membership", "fail", reason="The upper end is judged.", kind="convention")]
    blocks = walk(policies(decided(results, {"policy": "open", "verdict": "fail", "checks": checks})))
    lines = next(block.items for block in blocks if isinstance(block, Bullets))
    assert lines[0] == "Membership: fail (3.1 % [1.9, 4.4]; limit ≤ 7.4 %; convention). The upper end is judged."
    assert lines[1].startswith("Copies: pass")


def test_without_decisions_or_with_others_shapes_there_is_no_table(results: Results) -> None:
    assert policies(results) == ()
    assert policies(decided(results, "open", {"policy": "open"}, 3)) == ()
    assert policies(replace(results, run={"policies": "pass"})) == ()
    odd = decided(results, {"checks": [{"verdict": None}, "x", check("a", "show")]})
    assert [row[2][0].verdict for row in lights(odd).rows] == [Passed.OPEN, Passed.OPEN]


def test_what_people_must_still_answer_is_said(results: Results) -> None:
    made = decided(results, {"policy": "open", "verdict": "pass", "steps": ["Intended use"], "checks": [check("copies", "pass")]})
    assert any(isinstance(block, Text) and block.text.endswith("open: Intended use.") for block in walk(policies(made)))


def test_a_check_that_is_only_shown_keeps_its_word_and_a_red_flag_stands_out(results: Results) -> None:
    checks = [check("dcr", "red flag", limit=""), check("authenticity", "shown", reason="Measured: 3. Limit: none.")]
    blocks = walk(policies(decided(results, {"policy": "open", "verdict": "pass", "checks": checks})))
    table = next(block for block in blocks if isinstance(block, Lights))
    assert [(row[2][0].verdict, row[2][0].word) for row in table.rows] == [(Passed.FLAG, "red flag"), (Passed.OPEN, "shown")]
    lines = next(block.items for block in blocks if isinstance(block, Bullets))
    assert lines[1] == "Authenticity: shown. Measured: 3. Limit: none."
