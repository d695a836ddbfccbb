"""Policies are data with grounds for each threshold, refused by the key that is wrong."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from manikin.data.errors import ParameterError
from manikin.release.policy import BUILT_IN, load_policy, parse_policy

ONE = """
name = "mine"
version = 1
title = "Mine"
recipients = "Friends"
expires_after_days = 30
[[checks]]
name = "membership"
measure = "membership"
title = "Membership"
at_most = 0.1
rationale = "r"
source = "s"
kind = "convention"
"""


def limits(name: str, key: str = "limit") -> dict[str, object]:
    return {check.name: getattr(check, key) for check in load_policy(name).checks}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_threshold_says_where_it_comes_from(name: str) -> None:
    policy = load_policy(name)
    grounds = [*policy.checks, *policy.steps, *(c.targets for c in policy.checks if c.targets)]
    grounds += [check.waiver for check in policy.checks if check.waiver]
    for part in grounds:
        assert part.rationale
        assert part.source
        assert part.kind in ("regulator", "literature", "convention")
    for check in policy.checks:
        assert not (check.source.startswith("engineering default") and check.kind != "convention"), check.name


def test_the_limits_are_those_that_were_agreed() -> None:
    attacks = {"singling_out", "linkability", "attribute_inference"}
    for name, membership, risk, n in (("internal", 0.20, 0.20, 300), ("partners", 0.074, 0.09, 500), ("open", 0.027, 0.05, 2000)):
        found = limits(name)
        assert found["identifiers"] == found["unjudged_columns"] == found["rare_values"] == 0
        assert found["membership"] == membership
        assert {found[attack] for attack in attacks} == {risk}
        assert all(limits(name, "targets")[attack].at_least == n for attack in (*attacks, "membership"))
        assert found["authenticity"] is found["dcr_share"] is None  # shown only
    assert limits("internal")["copies"] is None
    assert (limits("partners")["copies"], limits("open")["copies"]) == (0.005, 0.001)
    assert limits("open")["unique_copies"] == 0
    assert limits("partners")["near_copies"] == 0.025
    for name in ("partners", "open"):
        assert limits(name)["representation"] == limits(name)["mode_collapse"] == 0.5
        assert limits(name, "control")["membership"] is True
    assert limits("internal")["identity_disclosure"] is None
    assert limits("partners")["identity_disclosure"] == limits("open")["identity_disclosure"] == 0.09
    for name in ("partners", "open"):
        assert limits(name)["utility"] == limits(name)["subgroup_gap"] == 0.05
        assert limits(name, "targets")["shadow_membership"].at_least == 50
    assert limits("open")["epsilon"] == 1
    assert limits("open", "waiver")["epsilon"].at_most == 3
    assert limits("open")["delta"] == 0.1  # times the number of patients: 1 / (10 N)
    assert limits("partners")["epsilon"] is None
    assert limits("open", "or_label")["utility"] == "not for inference"


def test_the_people_who_are_asked() -> None:
    asked = {name: {step.name for step in load_policy(name).steps if step.needed} for name in BUILT_IN}
    assert asked["internal"] == {"intended_use", "consent_basis"}
    assert asked["partners"] == {"intended_use", "consent_basis", "data_use_terms"}
    assert asked["open"] == {"intended_use", "consent_basis", "human_sample", "second_approver", "watermark"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("at_most = 0.1", 'at_most = "much"'), "check 'membership', key 'at_most': "),
        (("at_most = 0.1", "at_mots = 0.1"), "check 'membership', key 'at_mots': Extra inputs"),
        (('measure = "membership"', 'measure = "membershp"'), "names 'membershp', which nothing measures; the nearest names are members"),
        (('measure = "membership"', 'measure = "image_copy"'), "the nearest names are image_copies"),
        (('measure = "membership"', 'measure = "zzz"'), "nothing measures; `manikin list measures` names what is"),
        (("at_most = 0.1", "at_most = 0.1\nat_least = 0.1"), "at_most or at_least, not both"),
        (('kind = "convention"', 'kind = "law"'), "key 'kind': "),
        (("version = 1", ""), "key 'version': Field required"),
        (("expires_after_days = 30", "expires_after_days = 0"), "key 'expires_after_days'"),
        (("[[checks]]", "[[checks"), "is not valid TOML"),
        (('rationale = "r"\n', ""), "key 'rationale': Field required"),
        (("at_most = 0.1", 'at_most = "0.1"'), "key 'at_most': "),
        (("at_most = 0.1", "at_most = true"), "key 'at_most': "),
        (("at_most = 0.1", "at_most = inf"), "key 'at_most': "),
        (("at_most = 0.1", "at_most = nan"), "key 'at_most': "),
        (("at_most = 0.1", "at_most = 0.1\nexact = true"), "it cannot be exact"),
        (("at_most = 0.1", 'at_most = 0.1\nneeded = "no"'), "key 'needed': "),
        (("at_most = 0.1", 'at_most = 0.1\nflag = "above"'), "flag belongs to a figure that is only shown"),
        (("at_most = 0.1", 'or_label = "leaks"'), "belong to a limit"),
        (("at_most = 0.1", 'at_most = 0.1\nor_label = "leaks"'), "no label makes good what an attacker found"),
        (("version = 1", "version = 1.0"), "key 'version': "),
        (("version = 1", "version = " + "9" * 5000), "cannot be read as TOML"),
        (("version = 1", "version = " + "[" * 5000), "cannot be read as TOML"),
        (("expires_after_days = 30", 'expires_after_days = 30\nanswers = {nobody = "x"}'), "'answers' holds 'nobody'"),
    ],
)
def test_a_wrong_policy_is_refused_by_its_key(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ParameterError) as error:
        parse_policy(ONE.replace(*change), "mine.toml")
    assert str(error.value).startswith("mine.toml ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_check_twice_is_refused() -> None:
    twice = ONE + ONE[ONE.index("[[checks]]") :]
    with pytest.raises(ParameterError, match="'membership' is the name of two"):
        parse_policy(twice, "mine.toml")


def test_unknown_names_and_files_are_refused(tmp_path) -> None:
    with pytest.raises(ParameterError, match="There is no policy 'public'"):
        load_policy("public")
    with pytest.raises(ParameterError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")
    (tmp_path / "mine.toml").write_text(ONE)
    assert load_policy(tmp_path / "mine.toml").label == "mine v1"
    (tmp_path / "mine.toml").write_text(ONE.replace('"mine"', '"partners"'))
    with pytest.raises(ParameterError, match=r"calls itself 'partners', which is the name of a policy of Manikin"):
        load_policy(tmp_path / "mine.toml")


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_policy_speaks_of_anonymity(name: str) -> None:
    text = resources.files("manikin.release").joinpath("policies", f"{name}.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["name"] == name
    assert "anonymous" not in text.lower()
