from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import Results
from manikin.report.attacks import attacks
from manikin.report.blocks import Bullets, Dial, Facts, Figure, Heading, Table, Text, walk

from .made import attack


def test_without_attacks_there_is_no_chapter() -> None:
    assert attacks(Results(())) == ()


def test_each_attack_has_its_attacker_its_rates_and_its_power(results: Results) -> None:
    blocks = walk(attacks(results))
    names = [block.text for block in blocks if isinstance(block, Heading)]
    assert names == [
        "Membership",
        "Attribute inference",
        "Singling out",
        "Linkability",
        "Reconstruction",
        "Identity disclosure",
        "Not assessed",
    ]
    assert [block.name for block in blocks if isinstance(block, Dial)] == [made.name for made in results.attacks]
    told = [block.text for block in blocks if isinstance(block, Text)]
    assert "The attacker holds the release; he wants to know more. He succeeds when she is right." in told
    facts = dict(next(block for block in blocks if isinstance(block, Facts)).items)
    assert facts["Patients named at 1 % false alarms"] == "1.2 % (0.4 to 3.0 %)"
    assert facts["Targets"] == "550 of 600 asked for"
    assert facts["Least it could have found"].startswith("3.0 %")
    assert facts["Worst group of patients"] == "sex F: 2.0 % (0 to 6.0 %)"


def test_rates_are_told_in_words_for_those_who_do_not_see_them(results: Results) -> None:
    alts = [block.alt for block in walk(attacks(results)) if isinstance(block, Figure)]
    assert "attack 1.2 % (0.4 to 3.0 %, 550 tries); control 1.0 %" in " ".join(alts)
    assert "guess without data 1.0 %." in " ".join(alts)


def test_the_controls_of_membership_show_that_the_attack_works(results: Results) -> None:
    blocks = walk(attacks(results))
    figure = next(block for block in blocks if isinstance(block, Figure) and block.title == "Does the attack work?")
    assert "planted copies 93.0 %" in figure.alt
    assert "other real rows 1.1 %" in figure.alt
    unknown = replace(results.attacks[0], details={"controls": {"planted": {"note": "not made"}, "other": 3}})
    titles = [block.title for block in walk(attacks(replace(results, attacks=(unknown,)))) if isinstance(block, Figure)]
    assert "Does the attack work?" not in titles


def test_every_variant_that_was_tried_is_listed(results: Results) -> None:
    tables = [block for block in walk(attacks(results)) if isinstance(block, Table)]
    assert ("nearest", "1.2 % (0.4 to 3.0 %)", "1.0 %", "0.510 (0.470 to 0.550)") in [row for table in tables for row in table.rows]


def test_what_was_not_tried_and_what_could_not_be_is_said(results: Results) -> None:
    failed = attack("property_inference", None, note="Not computed: too few groups.")
    lines = [block for block in walk(attacks(replace(results, attacks=(*results.attacks, failed)))) if isinstance(block, Bullets)][-1].items
    assert any(line.endswith("Not computed: too few groups.") for line in lines)
    assert any("shadow models" in line and line.endswith("not tried.") for line in lines)
    assert any("several releases" in line for line in lines)
    assert not any("(membership)" in line for line in lines)


def test_an_attack_with_nothing_but_a_figure_is_shown() -> None:
    bare = attack("linkability", 0.1, threat_model=None, power=None, n_requested=0)
    assert any(isinstance(block, Dial) for block in walk(attacks(Results((), attacks=(bare,)))))
