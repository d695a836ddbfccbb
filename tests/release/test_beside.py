"""Columns beside images: a clinical table that nobody attacked never passes, and what is said of files is what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manikin as mk
from gate_rules import policy
from manikin.data.schema import Column, Kind
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Results, Section
from manikin.release.facts import PublicFacts, not_assessed
from manikin.release.judgement import Decision, Verdict, judge
from manikin.release.labels import csvw, read_mark
from manikin.release.manifest import FileHash
from manikin.release.measures import Evidence
from manikin.release.policy import load_policy
from manikin.release.public_schema import public_schema
from manikin.release.ro_crate import ro_crate
from manikin.workflow.leaving import Leaving, read_leaving, storage_of_leaving

LEVELS = Column("label", Kind.CATEGORICAL, levels=("a", "b"))
SEX = replace(LEVELS, name="sex")


def decided(tmp_path: Path, *beside: Column, of_tables: bool = False, n_patients: int = 60) -> tuple[Decision, Evidence]:
    rules = [("rare_values", "at_most = 0\nexact = true"), ("image_copies", "at_most = 0.3")]
    rules += [("copies.excess", "at_most = 0\nexact = true"), ("membership", "at_most = 1")] if of_tables else []
    rare = MetricResult("rare_values", "Rare", value=0.0, direction=Direction.LOWER, section=Section.PRIVACY, n=9)
    lower = {"direction": Direction.LOWER, "section": Section.PRIVACY}
    copies = AttackResult("image_copies", "Copies", value=0.0, interval=(0.0, 0.1), reference=0.0, n=500, **lower)  # type: ignore[arg-type]
    evidence = Evidence(Results((rare,), attacks=(copies,)), n_patients, modality="images", beside=beside)
    return judge(load_policy(policy(tmp_path / "gate.toml", *rules)), evidence, {}), evidence


@pytest.mark.parametrize(
    "beside",
    [
        (Column("age", Kind.CONTINUOUS),),
        (Column("seen", Kind.DATE),),
        (Column("code", Kind.CODE, levels=("I21", "I22")),),
        (Column("label", Kind.CATEGORICAL),),
        tuple(replace(LEVELS, name=name) for name in "abcd"),
        (LEVELS, Column("postcode", Kind.CATEGORICAL, levels=tuple(map(str, range(9))))),
    ],
    ids=["number", "date", "code", "no levels", "four", "many combinations"],
)
@pytest.mark.parametrize("of_tables", [True, False])
def test_columns_by_which_people_may_be_told_never_pass(beside: tuple[Column, ...], of_tables: bool, tmp_path: Path) -> None:
    decision, _ = decided(tmp_path, *beside, of_tables=of_tables, n_patients=100)
    assert decision.verdict is Verdict.INSUFFICIENT
    owed = [o for o in decision.outcomes if o.verdict is Verdict.INSUFFICIENT]
    assert {o.check.measure for o in owed} == ({"copies.excess", "membership"} if of_tables else {"copies.excess"})
    assert all(beside[0].name in o.reason and "release them as a table of their own" in o.reason for o in owed)


def test_a_few_categories_pass_and_the_card_says_that_nobody_attacked_them(tmp_path: Path) -> None:
    decision, evidence = decided(tmp_path, LEVELS, SEX)
    assert decision.verdict is Verdict.PASS
    line = "The columns beside the images (label, sex): not attacked, neither for copies nor for membership."
    assert line in not_assessed(decision, evidence)
    decision, evidence = decided(tmp_path)
    assert decision.verdict is Verdict.PASS
    assert not any("beside the images" in line for line in not_assessed(decision, evidence))


def arrays(path: Path, seed: int, top: int, **labels: object) -> Path:
    pixels = np.random.default_rng(seed).integers(-top, top, (60, 8, 8)).astype(np.int16)
    np.savez(path, images=pixels, **labels)  # type: ignore[arg-type]
    return path


def test_the_schema_that_leaves_has_the_range_of_the_released_pixels(tmp_path: Path) -> None:
    real = mk.read(arrays(tmp_path / "real.npz", 0, 3071, label=np.repeat(["a", "b"], 30)))
    leaving = read_leaving(arrays(tmp_path / "synthetic.npz", 1, 900, label=np.repeat(["a", "b"], 30)), real.schema, with_books=False)
    (own,) = leaving.data.columns.images
    pixels = leaving.data.table.images[own.name].array()
    (public,) = public_schema(leaving.data).only.images
    for form in (own.image, public.image):
        assert form is not None
        assert (form.lowest, form.highest) == (pixels.min(), pixels.max())


def facts() -> PublicFacts:
    from datetime import date

    day = date(2026, 1, 2)
    return PublicFacts(
        title="t", statement="s", policy={"label": "gate v1"}, checks=(), steps=(), labels=(), adversaries=(), answers={}, columns=(),
        n_rows=60, generator="g", settings={}, n_train="", n_holdout="", unit="rows", privacy="p", budget={}, not_assessed=(),
        recipients="r", issued=day, expires=day, key="k", noun="images",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t"), ("a.tsv.gz", "\t")])
def test_a_description_names_the_delimiter_of_its_file(name: str, delimiter: str) -> None:
    assert csvw(facts(), name, "0")["dialect"]["delimiter"] == delimiter


def test_what_was_made_is_the_folder_where_files_are_described_as_one() -> None:
    card = FileHash(name="card.md", sha256="0", n_bytes=1)
    graph = ro_crate(facts(), [card], {"card.md": ("The card", "text/markdown")}, [], {"synthetic": "60 files"})["@graph"]
    assert next(one for one in graph if one["@id"] == "#made")["result"] == [{"@id": "synthetic/"}]


def test_a_folder_of_bundles_holds_data(tmp_path: Path) -> None:
    place = tmp_path / "release" / "synthetic"
    place.mkdir(parents=True)
    (tmp_path / "release" / "decision.json").write_text('{"synthetic": true}')
    tag = '"meta": {"tag": [{"code": "HTEST"}]}'
    (place / "one.json").write_text('{"resourceType": "Bundle", %s}' % tag)  # noqa: UP031
    found = read_mark(tmp_path / "release")
    assert found.is_synthetic
    assert "synthetic/one.json" in found.where
    (place / "two.json").write_text('{"resourceType": "Bundle"}')
    assert not read_mark(tmp_path / "release").is_synthetic


def test_patients_in_fhir_leave_as_tables_where_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson").write_text('{"resourceType": "Patient", "id": "a"}\n')
    seen = '{"resourceType": "Observation", "id": "b", "status": "final", "code": {}, "subject": {"reference": "Patient/a"}}'
    (tmp_path / "Observation.ndjson").write_text(f"{seen}\n")
    leaving = Leaving(tmp_path, "0", mk.read(tmp_path))
    kept, asked = storage_of_leaving(leaving, None), storage_of_leaving(leaving, "csv")
    assert kept is not None
    assert asked is not None
    assert (kept.format, asked.format, asked.like) == ("fhir", "folder", ".csv")


def test_columns_that_were_attacked_are_judged_by_what_was_found(tmp_path: Path) -> None:
    age, lower = Column("age", Kind.CONTINUOUS), {"direction": Direction.LOWER, "section": Section.PRIVACY}
    _, evidence = decided(tmp_path, age)
    rules = load_policy(policy(tmp_path / "gate.toml", ("image_copies", "at_most = 0.3"), ("image_membership", "at_most = 0.2")))

    def verdict(hits: float, excess: float, *beside: Column) -> tuple[Verdict, list[tuple[str, Verdict]], list[str]]:
        """What comes of an attack that names so many people, and of so many copies."""
        part = {"excess": excess, "excess_interval": [excess, excess]}
        copies = MetricResult("copies", "Copies", value=excess, n=500, details=part, **lower)  # type: ignore[arg-type]
        named = [
            AttackResult(name, name, value=hits, interval=(hits, hits), reference=0.0, n=500, **lower)  # type: ignore[arg-type]
            for name in ("image_membership", "membership")
        ]
        results = Results((copies,), attacks=(*evidence.results.attacks, *named))
        own = replace(evidence, results=results, beside=beside or (age,))
        decision = judge(rules, own, {})
        found = [(o.check.measure, o.verdict) for o in decision.outcomes if o.check.title.endswith("(columns beside the images)")]
        return decision.verdict, found, list(not_assessed(decision, own))

    decision, found, lacking = verdict(0.01, 0.0)
    assert decision is Verdict.PASS
    assert found == [("copies.excess", Verdict.PASS), ("membership", Verdict.PASS)]  # within the limit of membership by images
    assert not any("beside the images" in line for line in lacking)
    assert verdict(0.01, 0.02)[0] is verdict(0.5, 0.0)[0] is Verdict.FAIL
    decision, found, _ = verdict(0.01, 0.0, age, Column("file_id", Kind.IDENTIFIER))
    assert decision is Verdict.INSUFFICIENT  # no attack looks at an identifier


def test_columns_that_were_attacked_for_few_patients_with_many_images_are_judged(tmp_path: Path) -> None:
    lower = {"direction": Direction.LOWER, "section": Section.PRIVACY}
    _, evidence = decided(tmp_path, LEVELS, n_patients=600)  # images, of a few people
    found = MetricResult("copies", "Copies", value=0.5, n=500, details={"excess": 0.5, "excess_interval": [0.4, 0.6]}, **lower)  # type: ignore[arg-type]
    rules = load_policy(policy(tmp_path / "gate.toml", ("image_copies", "at_most = 0.3")))
    own = replace(evidence, results=Results((found,), attacks=evidence.results.attacks))
    assert judge(rules, evidence, {}).verdict is Verdict.PASS
    assert judge(rules, own, {}).verdict is Verdict.FAIL


@pytest.mark.parametrize(("hits", "verdict"), [(0.011, Verdict.PASS), (0.06, Verdict.FAIL)])
def test_near_copies_beside_images_hide_within_no_limit_on_membership(hits: float, verdict: Verdict, tmp_path: Path) -> None:
    age, lower = Column("age", Kind.CONTINUOUS), {"direction": Direction.LOWER, "section": Section.PRIVACY}
    rules = [("image_copies", "at_most = 0.3"), ("copies.excess", "at_most = 0\nexact = true"), ("membership", "at_most = 0.074")]
    gate = load_policy(policy(tmp_path / "gate.toml", *rules, ("near_copies", "at_most = 0.025")))
    _, evidence = decided(tmp_path, age)
    copies = MetricResult("copies", "Copies", value=0.0, n=500, details={"excess": 0.0, "excess_interval": [0.0, 0.0]}, **lower)  # type: ignore[arg-type]
    planted = {"controls": {"planted": {"tpr": hits + 0.044, "share": 0.05, "is_found": True}}}
    told = {"value": hits, "interval": (hits - 0.004, hits + 0.006), "reference": 0.01, "n": 500, "details": planted}
    of_rows = AttackResult("membership", "M", **told, **lower)  # type: ignore[arg-type]
    own = replace(evidence, results=Results((copies,), attacks=(*evidence.results.attacks, of_rows)))
    assert judge(gate, own, {}).verdict is verdict
    assert {o.check.measure: o.verdict for o in judge(gate, own, {}).outcomes}["membership"] is Verdict.PASS
    nobody = {o.check.measure: o for o in judge(gate, evidence, {}).outcomes}["near_copies"]
    assert nobody.verdict is Verdict.INSUFFICIENT
    assert "Nobody attacked the columns" in nobody.reason
