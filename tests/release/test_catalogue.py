"""What a policy may name: every metric and attack of the registries with the data that it is of, and the figures made for policies."""

from __future__ import annotations

from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS
from manikin.release import measures as figures
from manikin.release.catalogue import DERIVED, applies, entry_of, measures
from manikin.release.policy import BUILT_IN, load_policy


def test_every_metric_and_attack_may_be_named() -> None:
    known = measures()
    assert set(known) == {*METRICS, *ATTACKS, *DERIVED}
    assert {name for name, entry in known.items() if entry.kind == "attack"} == {*ATTACKS, "dp_audit"}
    assert {*figures.DERIVED, "dp_audit"} == set(DERIVED)
    assert all(entry.modalities and entry.summary for entry in known.values())


def test_each_is_of_its_own_data() -> None:
    assert measures()["image_membership"].modalities == {"images"}
    assert measures()["key_integrity"].modalities == {"records"}
    assert measures()["singling_out"].modalities == {"table", "records"}
    assert measures()["identifiers"].modalities == {"table", "records", "images"}
    assert applies("copies.excess", "records")
    assert not applies("copies.excess", "images")
    assert entry_of("copise.excess") is None


def test_each_policy_has_a_limit_on_membership_and_copies_of_each_kind_of_data() -> None:
    for name in BUILT_IN:
        limited = {check.measure.partition(".")[0] for check in load_policy(name).checks if check.limit is not None}
        assert {"membership", "trajectory_membership", "trajectory_copies", "image_membership", "image_copies", "key_integrity"} <= limited
