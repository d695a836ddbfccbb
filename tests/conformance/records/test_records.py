"""What every registered generator of linked patients must do, whoever wrote it: bytes, schema, patients, keys, rules, saved models."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linked_models import fitted, home, new, sampled
from linked_tables import LINKED, RARE_CODE, cells, linked_bytes
from test_synthesizers import row_shaped

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import BudgetError, DataError, FitError, InputError, ParameterError
from manikin.data.links import parent_rows
from manikin.data.new_keys import families, released_schema
from manikin.data.rule_checks import violations
from manikin.data.schema import Form, Role
from manikin.synthesizers import SynthesizerEntry
from manikin.synthesizers.storage import load, save

FEWEST_PATIENTS = 11


def test_same_seed_same_bytes(name: str, tables: str) -> None:
    fitted(name, tables)
    again = new(name).fit(LINKED[tables](), seed=0)
    assert linked_bytes(again.sample(80, seed=1)) == linked_bytes(sampled(name, tables))


def test_another_seed_gives_other_patients(name: str) -> None:
    assert linked_bytes(fitted(name, home(name)).sample(80, seed=2)) != linked_bytes(sampled(name, home(name)))


def test_fit_twice_equals_fit_once(name: str) -> None:
    own = home(name)
    model = new(name).fit(LINKED[own]().subset(np.arange(40)), seed=3).fit(LINKED[own](), seed=0)
    assert linked_bytes(model.sample(80, seed=1)) == linked_bytes(sampled(name, own))


def test_fit_and_sample_leave_the_world_alone(name: str) -> None:
    data = LINKED[home(name)]()
    before, state = linked_bytes(data), copy.deepcopy(np.random.get_state()[1])  # noqa: NPY002 (that it is untouched is the test)
    new(name).fit(data, seed=5).sample(5, seed=5)
    assert linked_bytes(data) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_saved_model_samples_the_same_bytes(name: str, tables: str, tmp_path: Path) -> None:
    back = load(save(fitted(name, tables), tmp_path / "model"))
    assert linked_bytes(back.sample(80, seed=1)) == linked_bytes(sampled(name, tables))


@pytest.mark.parametrize("n", [0, 1, 300])
def test_as_many_patients_as_asked(name: str, tables: str, n: int) -> None:
    sample = sampled(name, tables, n)
    assert len(sample) == n
    root = sample.schema.root
    if root is not None:
        assert len(sample.tables[root.name]) == n


@pytest.mark.parametrize("n", [-1, 1.5, "3"])
def test_no_such_number_of_patients(name: str, n: Any) -> None:
    with pytest.raises(ParameterError, match="'n' parameter"):
        fitted(name, home(name)).sample(n, seed=1)


def test_batches_are_the_sample_in_pieces(name: str, tables: str) -> None:
    model = fitted(name, tables)
    whole = linked_bytes(sampled(name, tables, 300))
    for size in (40, 1_000):
        parts = list(model.sample_batches(300, seed=1, batch_size=size))
        assert sum(len(part) for part in parts) == 300
        assert linked_bytes(concat(parts)) == whole


def test_unfitted_model_says_so(name: str) -> None:
    with pytest.raises(FitError, match="fit"):
        new(name).sample(3, seed=0)


def test_schema_is_kept(name: str, tables: str) -> None:
    real, sample = LINKED[tables](), sampled(name, tables)
    assert [table.name for table in sample.schema.tables] == [table.name for table in real.schema.tables]
    for table in released_schema(real.schema).tables:
        own = sample.schema[table.name]
        assert own.names == table.names == list(sample.tables[table.name].frame.columns)
        assert (own.form, own.primary_key, own.foreign_keys, own.start, own.end) == (
            table.form,
            table.primary_key,
            table.foreign_keys,
            table.start,
            table.end,
        )
        for column in own:
            before = real.schema[table.name][column.name]
            assert (column.kind, column.storage, column.decimals, column.by) == (
                before.kind,
                before.storage,
                before.decimals,
                before.by,
            )
            if column.kind.is_learned:
                theirs, ours = (data.tables[table.name].frame[column.name].dtype.kind for data in (real, sample))
                assert ours == theirs, f"{table.name}.{column.name}"


def test_left_out_columns_are_left_out(name: str) -> None:
    assert "name" not in sampled(name, "visits").schema["patients"]
    if "nasty" in LINKED:
        assert "note" not in sampled(name, "nasty").schema["results"]


def test_tables_of_nobody_are_given_back(name: str) -> None:
    real, sample = LINKED["nasty"](), sampled(name, "nasty")
    for table in real.schema.tables:
        if table.form is Form.REFERENCE:
            assert cells(sample, table.name).equals(cells(real, table.name))


def test_every_reference_leads_to_a_row_of_the_same_patient(name: str, tables: str) -> None:
    sample = sampled(name, tables)
    for table in sample.schema.of_patients:
        for number, key in enumerate(table.foreign_keys):
            rows = parent_rows(sample, table, number)
            refers = cells(sample, table.name)[list(key.columns)].ne("").all(axis=1).to_numpy()
            assert (rows[refers] >= 0).all(), f"{table.name} -> {key.table}"
            if sample.schema[key.table].form is not Form.REFERENCE:
                owners = sample.owners
                assert (owners[key.table][rows[refers]] == owners[table.name][refers]).all(), f"{table.name} -> {key.table}"


def test_primary_keys_are_unique(name: str, tables: str) -> None:
    sample = sampled(name, tables)
    for table in sample.schema.tables:
        if table.primary_key:
            assert not cells(sample, table.name)[list(table.primary_key)].duplicated().any(), table.name


def test_no_real_key_is_used_again(name: str, tables: str) -> None:
    real, sample = LINKED[tables](), sampled(name, tables)
    for family in families(real.schema):
        theirs = {key for table, column in family.places for key in cells(real, table)[column]} - {""}
        ours = {key for table, column in family.places for key in cells(sample, table)[column]} - {""}
        assert not theirs & ours, family.places


def test_confirmed_rules_hold(name: str, tables: str) -> None:
    sample, n = sampled(name, tables, 300), 0
    for table in LINKED[tables]().schema.tables:
        for rule in table.confirmed_rules:
            n += 1
            broken = violations(rule, sample.tables[table.name], sample.schema[table.name])
            assert not broken.any(), rule.about
    assert n or tables != "visits"


def test_nothing_happens_after_death(name: str, entry: SynthesizerEntry) -> None:
    sample = sampled(name, "nasty", 300)
    if not entry.releasable:
        pytest.skip("a floor gives back what it was given")
    died = sample.tables["people"].frame["died"].to_numpy()[sample.owners["results"]]
    when = sample.tables["results"].frame["when"].to_numpy()
    assert not (when > died + np.timedelta64(1, "D")).any()


def test_conditions_are_kept_or_refused_by_name(name: str, entry: SynthesizerEntry) -> None:
    model, conditions = fitted(name, "visits"), {"sex": "f"}
    if not (entry.conditions or entry.some_conditions):
        with pytest.raises(ParameterError, match=name):
            model.sample(30, seed=1, conditions=conditions)
        return
    for named in (conditions, {"patients.sex": "f"}):
        sample = model.sample(30, seed=1, conditions=named)
        assert len(sample) == 30
        assert set(cells(sample, "patients")["sex"]) == {"f"}


@pytest.mark.parametrize("column", ["ward", "stays.ward"])
def test_conditions_on_rows_are_refused_by_name(name: str, column: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}|ward"):
        fitted(name, "visits").sample(3, seed=1, conditions={column: "icu"})


def test_unknown_condition_is_refused_by_name(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}|no such column"):
        fitted(name, home(name)).sample(3, seed=1, conditions={"no such column": "x"})


def test_no_condition_is_no_condition(name: str) -> None:
    assert linked_bytes(fitted(name, home(name)).sample(80, seed=1, conditions={})) == linked_bytes(sampled(name, home(name)))


def test_privacy_ledger_is_refused_by_name(name: str, entry: SynthesizerEntry) -> None:
    if entry.private:
        pytest.skip("it learns under a ledger; tests/privacy checks what it spends")
    with pytest.raises(BudgetError, match=name):
        new(name).fit(LINKED["visits"](), seed=0, ledger=object())


def test_flat_table_is_refused_by_name(name: str) -> None:
    from tables import gbsg2

    with pytest.raises((FitError, DataError, ParameterError), match=f"{name}|linked"):
        new(name).fit(gbsg2(), seed=0)


def test_no_training_patient_is_kept(name: str, entry: SynthesizerEntry, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    data, model = LINKED[home(name)](), fitted(name, home(name))
    folder = save(model, tmp_path / "model")
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "weights.safetensors")
    found = [
        where
        for n in {len(data.tables[table].frame) for table in data.tables}
        for thing, called in ((model, "self"), (config, "config.json"), (weights, "weights.safetensors"))
        for where in row_shaped(thing, n, called)
    ]
    assert bool(found) == entry.keeps_rows, found


def test_saved_folder_holds_no_key_and_no_identifier(name: str, entry: SynthesizerEntry, tmp_path: Path) -> None:
    secrets = [b"Patient Number", b"s-042", b"p'17", b"Dr Number"]
    if not entry.keeps_rows:
        secrets.append(RARE_CODE.encode())
    for tables in [home(name), *LINKED]:
        for file in save(fitted(name, tables), tmp_path / tables, force=True).iterdir():
            content = file.read_bytes()
            assert not [secret for secret in secrets if secret in content], file.name


def test_rare_codes_never_appear(name: str, entry: SynthesizerEntry) -> None:
    if not entry.releasable:
        pytest.skip("a floor gives back what it was given")
    real, sample = LINKED["visits"](), sampled(name, "visits", 300)
    holders = cells(real, "diagnoses").assign(owner=real.owners["diagnoses"]).groupby("code")["owner"].nunique()
    assert set(cells(sample, "diagnoses")["code"]) <= set(holders.index[holders >= FEWEST_PATIENTS]) | {""}


@pytest.mark.parametrize("n", [0, 1, 2, 12])
def test_hardly_any_patients(name: str, n: int) -> None:
    data = LINKED[home(name)]().subset(np.arange(n))
    try:
        sample = new(name).fit(data, seed=0).sample(5, seed=1)
    except (FitError, InputError) as error:
        assert str(n) in str(error)  # noqa: PT017 (either way out is right)
        return
    assert len(sample) == 5


def test_patients_without_an_event_are_learned_from(name: str) -> None:
    data = LINKED["nasty"]()
    bare = data.subset(np.arange(12))
    try:
        sample = new(name).fit(bare, seed=0).sample(30, seed=1)
    except FitError as error:
        assert name in str(error)  # noqa: PT017
        return
    assert len(sample) == 30
    assert len(sample.tables["results"]) == 0


def test_patient_keys_stay_with_their_patient(name: str, tables: str) -> None:
    sample: Dataset = sampled(name, tables)
    keys = {table.name: table.with_role(Role.PATIENT_KEY)[0].name for table in sample.schema.of_patients}
    seen: dict[int, str] = {}
    for table, column in keys.items():
        for owner, key in zip(sample.owners[table].tolist(), cells(sample, table)[column], strict=True):
            assert seen.setdefault(owner, key) == key
    assert len(set(seen.values())) == len(sample)
