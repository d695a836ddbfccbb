"""The gate end to end: what passes leaves signed and whole, what leaks is refused with reasons, and any changed byte is noticed."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import manikin as mk
from manikin.cli.failures import guarded
from manikin.data.errors import GateError, InputError, ParameterError
from manikin.release.judgement import Verdict
from manikin.workflow import judge as judging
from manikin.workflow.receive import keygen, label, verify
from manikin.workflow.release import release

POLICY = Path(__file__).with_name("gate_policy.toml")
TODAY = date(2027, 3, 1)
SECRET = "haematology annexe"  # a ward that one train patient has


def patients(n: int, seed: int) -> pd.DataFrame:
    import numpy as np

    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n)
    return pd.DataFrame(
        {
            "age": age,
            "pressure": np.round(100 + 0.5 * age + rng.normal(0, 8, n), 1),
            "chol": np.round(rng.normal(200, 30, n), 1),
            "sex": rng.choice(["F", "M"], n),
            "ward": rng.choice(["surgery", "medicine"], n),
            "died": np.where(rng.random(n) < 1 / (1 + np.exp(-(age - 75) / 8)), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, evidence of a fresh release, and keys. Only what the test policy asks for is measured."""
    folder = tmp_path_factory.mktemp("gate")
    train = patients(1237, 1)
    train.loc[3, "ward"] = SECRET
    train.to_csv(folder / "train.csv", index=False)
    patients(801, 2).to_csv(folder / "holdout.csv", index=False)
    patients(1300, 3).to_csv(folder / "fresh.csv", index=False)
    keygen(folder / "publisher.key")
    keygen(folder / "other.key")
    evidence(folder, "fresh.csv", "fresh")
    return folder


def evidence(place: Path, synthetic: str, out: str, train: str = "train.csv") -> Path:
    with pytest.MonkeyPatch.context() as patch:
        few = partial(judging.measure, metrics=["identifiers", "rare_values", "copies"], attacks=["membership"])
        patch.setattr(judging, "measure", few)
        judged = judging.judge(place / train, place / "holdout.csv", place / synthetic, out=place / out, target="died", force=True)
    assert judged.files["synthetic"].read_bytes() == (place / synthetic).read_bytes()
    return place / out


def let_out(place: Path, source: str = "fresh", out: str = "release", **more: object):
    arguments: dict[str, object] = {"policy": POLICY, "key": place / "publisher.key", "today": TODAY, "force": True}
    arguments |= {"answered": {"intended_use": "teaching", "title": "Ward patients", "publisher": "A hospital"}} | more
    return release(place / source, out=place / out, **arguments)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def released(place: Path) -> Path:
    made = let_out(place)
    assert made.decision.verdict is Verdict.PASS, made.decision.lines
    assert made.out is not None
    return made.out


@pytest.fixture
def copy(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "received"))


def reasons(made) -> dict[str, tuple[str, str]]:
    return {o.check.name: (str(o.verdict), o.reason) for o in made.decision.outcomes}


def test_the_folder_holds_public_files_only(released: Path) -> None:
    assert sorted(path.name for path in released.iterdir()) == [
        "SHA256SUMS", "card.html", "card.md", "croissant.json", "decision.json", "public-key.pem", "release.dsse.json",
        "ro-crate-metadata.json", "schema.toml", "synthetic.csv", "synthetic.csv-metadata.json",
    ]  # fmt: skip


def test_a_receiver_with_the_folder_and_the_key_verifies_it(place: Path, released: Path) -> None:
    found = verify(released, key=place / "publisher.key.pub", today=TODAY)
    assert found.predicate["statement"] == "passed policy gate v4 under adversaries membership (about 620 targets)"
    assert found.predicate["expires"] == "2028-02-29"
    assert len(found.files) == 11


def test_the_key_inside_the_folder_proves_nothing(released: Path) -> None:
    with pytest.raises(ParameterError, match=r"came with the release.*Take the public key from the publisher"):
        verify(released, key=released / "public-key.pem", today=TODAY)


def test_rows_come_back_as_they_were_judged(place: Path, released: Path) -> None:
    assert (released / "synthetic.csv").read_bytes() == (place / "fresh.csv").read_bytes()
    by_public_schema = mk.read(released / "synthetic.csv", schema=released / "schema.toml")
    pd.testing.assert_frame_equal(by_public_schema.to_pandas(), mk.read(place / "fresh.csv").to_pandas(), check_dtype=False)


def test_parquet_too(place: Path) -> None:
    import pyarrow.parquet as pq

    made = let_out(place, out="as-parquet", file_format="parquet")
    assert made.out is not None
    verify(made.out, key=place / "publisher.key.pub", today=TODAY)
    assert pq.read_metadata(made.out / "synthetic.parquet").metadata[b"synthetic"] == b"true"
    assert label(made.out / "synthetic.parquet").is_synthetic
    rows = pq.read_table(made.out / "synthetic.parquet").to_pandas()
    pd.testing.assert_frame_equal(rows, pd.read_csv(place / "fresh.csv"), check_dtype=False)
    check_croissant(made.out)


def check_croissant(folder: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that read it
        import mlcroissant

        data = mlcroissant.Dataset(jsonld=folder / "croissant.json")
        issues = data.metadata.ctx.issues
        assert not issues.errors
        assert not issues.warnings
        assert data.metadata.ctx.is_v1_1()
        first = next(iter(data.records("rows")))
    table = folder / "synthetic.csv"
    expected = pd.read_csv(table) if table.exists() else pd.read_parquet(folder / "synthetic.parquet")
    assert first["rows/0"] == expected["age"][0]
    assert first["rows/1"] == expected["pressure"][0]


def test_croissant_is_valid_and_reads_the_rows(released: Path) -> None:
    check_croissant(released)
    document = json.loads((released / "croissant.json").read_text())
    assert document["manikin:policy"] == "gate v4"
    assert document["manikin:attack"][0]["manikin:verdict"] == "pass"


def test_ro_crate_names_every_file(released: Path) -> None:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(str(released))
    named = {entity.id for entity in crate.get_entities()}
    assert {path.name for path in released.iterdir()} <= named
    assert crate.name == "Ward patients"
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.2"


def test_the_public_files_hold_no_real_value_and_no_exact_figure(place: Path, released: Path) -> None:
    from manikin.evaluation.results_file import read_results

    attack = read_results(place / "fresh" / "results.json")["membership"]
    figures = [f"{attack.value:.4f}", f"{100 * attack.value:.2g} %", f"{attack.n:,}", "1237", "1,237", "801"]
    hidden = [SECRET, *figures, "train.csv", "fresh.csv"]
    for path in released.iterdir():
        if path.name in ("synthetic.csv", "release.dsse.json", "SHA256SUMS", "public-key.pem"):
            continue
        text = path.read_text(encoding="utf-8")
        text = "\n".join(line for line in text.splitlines() if "sha256" not in line and "Size" not in line)
        for value in hidden:  # as a word: the fingerprint of a key made anew holds any three digits now and then
            assert not re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", text), (path.name, value)
        assert "anonym" not in text.lower(), path.name
    assert "about 1,200 real rows" in (released / "card.md").read_text()


def test_the_public_schema_shows_what_the_release_shows(place: Path, released: Path) -> None:
    assert "learned from the patients" not in (released / "schema.toml").read_text()
    internal, public = (mk.read_schema(folder / "schema.toml").only for folder in (place / "fresh", released))
    assert SECRET in internal["ward"].levels
    assert public["ward"].levels == ("medicine", "surgery")
    rows = pd.read_csv(released / "synthetic.csv")
    for name in ("age", "pressure", "chol"):
        assert (public[name].minimum, public[name].maximum) == (rows[name].min(), rows[name].max())
    assert not public.rules
    assert not any(column.notes for column in public)


def test_the_same_inputs_give_the_same_bytes(place: Path, released: Path) -> None:
    again = let_out(place, out="again").out
    for path in released.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


# --- what is refused


def test_copies_are_refused_with_reasons(place: Path) -> None:
    fresh, train = pd.read_csv(place / "fresh.csv"), pd.read_csv(place / "train.csv")
    pd.concat([train[:300], fresh[300:]]).to_csv(place / "copied.csv", index=False)
    evidence(place, "copied.csv", "copied")
    made = let_out(place, "copied", "refused")
    assert made.decision.verdict is Verdict.FAIL
    assert reasons(made)["copies"][0] == reasons(made)["membership"][0] == "fail"
    assert "Limit: at most 0.5 %" in reasons(made)["copies"][1]
    assert made.out is None
    assert not (place / "refused").exists()


def test_an_e_mail_column_is_refused(place: Path) -> None:
    fresh = pd.read_csv(place / "fresh.csv")
    fresh.assign(contact=[f"p{i}@example.org" for i in range(len(fresh))]).to_csv(place / "mail.csv", index=False)
    evidence(place, "mail.csv", "mail")
    made = let_out(place, "mail", "refused")
    assert reasons(made)["identifiers"][0] == "fail"
    assert reasons(made)["unjudged_columns"][0] == "fail"
    assert "1,300" in reasons(made)["identifiers"][1]
    assert not (place / "refused").exists()


def test_too_few_targets_are_insufficient_evidence(place: Path) -> None:
    pd.read_csv(place / "train.csv")[:400].to_csv(place / "few.csv", index=False)
    evidence(place, "fresh.csv", "few", train="few.csv")
    made = let_out(place, "few", "refused")
    verdict, reason = reasons(made)["membership"]
    assert (verdict, made.decision.verdict) == ("insufficient evidence", Verdict.INSUFFICIENT)
    assert "300 are needed" in reason or "interval does not" in reason


def test_several_tables_and_partly_real_rows_are_refused(place: Path, tmp_path: Path) -> None:
    for options, names, message in (
        ({"partial": False}, ("synthetic.csv", "synthetic-2.csv"), "holds 2 synthetic data sets"),
        ({"partial": True}, ("synthetic.csv",), "never released"),
        ({}, (), "does not hold the synthetic data"),
    ):
        manifest = json.loads((place / "fresh" / "manifest.json").read_text())
        manifest["options"] |= options
        others = [file for file in manifest["outputs"] if not file["name"].startswith("synthetic")]
        manifest["outputs"] = [*others, *({"name": name, "sha256": "0", "n_bytes": 0} for name in names)]
        (tmp_path / "judged").mkdir(exist_ok=True)
        (tmp_path / "judged" / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ParameterError, match=message):
            let_out(tmp_path, "judged", key=place / "publisher.key")


def test_an_unanswered_step_is_insufficient_evidence(place: Path) -> None:
    made = let_out(place, out="refused", answered={})
    assert made.decision.verdict is Verdict.INSUFFICIENT
    assert "--answer intended_use=TEXT" in made.decision.steps[0].reason


@pytest.mark.parametrize("name", ["results.json", "schema.toml", "synthetic.csv", "report.html"])
def test_a_judged_folder_that_was_changed_is_refused(place: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(place / "fresh", tmp_path / "judged")
    content = (tmp_path / "judged" / name).read_bytes()
    (tmp_path / "judged" / name).write_bytes(content.replace(b"1", b"2", 1))
    with pytest.raises(GateError, match=f"{name} of .* was changed after it was judged"):
        let_out(tmp_path, "judged", key=place / "publisher.key")
    (tmp_path / "judged" / name).unlink()
    with pytest.raises(GateError, match=f"{name} of .* is missing"):
        let_out(tmp_path, "judged", key=place / "publisher.key")
    os.symlink(place / "fresh" / name, tmp_path / "judged" / name)
    with pytest.raises(GateError, match="leads out of the folder"):
        let_out(tmp_path, "judged", key=place / "publisher.key")
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"expires": TODAY + timedelta(days=366)}, "at most 2028-02-29"),
        ({"expires": TODAY}, "a day after 2027-03-01"),
        ({"answered": {"intendeduse": "x"}}, "'intendeduse', which nobody asks"),
        ({"file_format": "xlsx"}, "one of csv, parquet"),
        ({"key": "publisher.key.pub"}, "no private key"),
        ({"out": "fresh"}, "is what this command reads"),
    ],
)
def test_wrong_arguments_write_nothing(place: Path, more: dict[str, object], message: str) -> None:
    if "key" in more:
        more = {"key": place / str(more["key"])}
    with pytest.raises(InputError, match=message):
        let_out(place, **{"out": "wrong", **more})
    assert not (place / "wrong").exists()


# --- the receiver


def test_one_changed_byte_is_noticed_in_every_file(place: Path, released: Path, copy: Path) -> None:
    for path in sorted(copy.iterdir()):
        good = path.read_bytes()
        place_of = len(good) // 2
        path.write_bytes(good[:place_of] + bytes([good[place_of] ^ 1]) + good[place_of + 1 :])
        with pytest.raises(GateError, match=path.name.replace(".", r"\.")):
            verify(copy, key=place / "publisher.key.pub", today=TODAY)
        path.write_bytes(good)
    verify(copy, key=place / "publisher.key.pub", today=TODAY)


def test_missing_and_added_files_are_named(place: Path, copy: Path) -> None:
    (copy / "more.csv").write_text("a\n1\n")
    with pytest.raises(GateError, match=r"'more\.csv' is not part of the release"):
        verify(copy, key=place / "publisher.key.pub", today=TODAY)
    (copy / "more.csv").unlink()
    (copy / "sub").mkdir()
    (copy / "sub" / "x").write_text("")
    with pytest.raises(GateError, match=r"'sub/x' is not part"):
        verify(copy, key=place / "publisher.key.pub", today=TODAY)
    shutil.rmtree(copy / "sub")
    (copy / "card.md").unlink()
    with pytest.raises(GateError, match=r"'card\.md' is missing"):
        verify(copy, key=place / "publisher.key.pub", today=TODAY)


def test_another_key_and_a_late_day_are_refused(place: Path, released: Path) -> None:
    with pytest.raises(GateError, match="was not signed with this key"):
        verify(released, key=place / "other.key.pub", today=TODAY)
    verify(released, key=place / "publisher.key.pub", today=date(2028, 2, 29))
    with pytest.raises(GateError, match="expired on 2028-02-29"):
        verify(released, key=place / "publisher.key.pub", today=date(2028, 3, 1))


def test_hostile_folders_are_refused_in_a_sentence(place: Path, copy: Path) -> None:
    key = place / "publisher.key.pub"
    os.symlink("/etc/hostname", copy / "link")
    with pytest.raises(GateError, match="'link' is a link"):
        verify(copy, key=key, today=TODAY)
    (copy / "link").unlink()
    os.mkfifo(copy / "pipe")
    with pytest.raises(GateError, match="'pipe' is a link or a device"):
        verify(copy, key=key, today=TODAY)
    (copy / "pipe").unlink()
    with (copy / "synthetic.csv").open("ab") as file:
        file.truncate(1 << 40)  # a sparse terabyte: its size is compared before a byte is read
    with pytest.raises(GateError, match=r"'synthetic\.csv' was changed"):
        verify(copy, key=key, today=TODAY)
    for broken in (b"", b"{", b"[]", b'{"payloadType": 3}', b"\xff\xfe", b"[" * 100_000):
        (copy / "release.dsse.json").write_bytes(broken)
        with pytest.raises(GateError, match="no signature that can be read"):
            verify(copy, key=key, today=TODAY)
    with (copy / "release.dsse.json").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(GateError, match="far larger than a signature"):
        verify(copy, key=key, today=TODAY)
    (copy / "release.dsse.json").unlink()
    with pytest.raises(GateError, match="nothing in it is signed"):
        verify(copy, key=key, today=TODAY)
    os.symlink(copy, copy.parent / "by-link")
    for folder in (copy.parent / "by-link", copy.parent / "none", copy / "card.md"):
        with pytest.raises(ParameterError, match="no release folder"):
            verify(folder, key=key, today=TODAY)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "a/../../x", "", ".", "C:\\x", "a//b"])
def test_a_statement_that_leads_out_of_the_folder_is_refused(place: Path, tmp_path: Path, name: str) -> None:
    from manikin.release.manifest import FileHash
    from manikin.release.signing import read_private_key, sign

    (tmp_path / "outside.txt").write_text("secret")
    folder = tmp_path / "received"
    folder.mkdir()
    named = FileHash(name=name, sha256="0" * 64, n_bytes=6)
    signed = sign([named], {"expires": "2099-01-01"}, read_private_key(place / "publisher.key", None))
    (folder / "release.dsse.json").write_text(signed)
    with pytest.raises(GateError, match="names a file outside the folder"):
        verify(folder, key=place / "publisher.key.pub", today=TODAY)


# --- labels, keys, the command line


def test_labels(place: Path, released: Path, copy: Path) -> None:
    assert label(released).is_synthetic
    assert label(released / "synthetic.csv").is_synthetic
    assert not label(place / "fresh.csv").is_synthetic
    pd.read_csv(place / "train.csv").to_csv(copy / "synthetic.csv", index=False)  # real rows under a synthetic label
    assert "other bytes" in label(copy / "synthetic.csv").where
    (copy / "synthetic.csv-metadata.json").write_text("{")
    assert "cannot be read" in label(copy / "synthetic.csv").where
    (copy / "synthetic.csv-metadata.json").write_text('{"url": "synthetic.csv"}')
    assert not label(copy / "synthetic.csv").is_synthetic
    iptc = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    (copy / "synthetic.csv-metadata.json").write_text(json.dumps({"url": "synthetic.csv", "schema:digitalSourceType": iptc}))
    assert label(copy / "synthetic.csv").is_synthetic
    pd.read_csv(place / "fresh.csv").to_parquet(copy / "plain.parquet")
    assert not label(copy / "plain.parquet").is_synthetic
    with pytest.raises(ParameterError, match="neither a table nor an image"):
        label(copy / "card.md")


@pytest.mark.parametrize("name", ["REAL.CSV", "real.pq", "real.tsv.gz", "more/real.csv"])
def test_a_folder_is_labelled_only_if_every_data_file_in_it_is(released: Path, copy: Path, name: str) -> None:
    assert label(copy).is_synthetic
    (copy / "more").mkdir()
    real = patients(20, 9)
    real.to_parquet(copy / name) if name.endswith(".pq") else real.to_csv(copy / name, index=False)
    assert not label(copy).is_synthetic
    assert Path(name).name in label(copy).where


def test_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    made = keygen(tmp_path / "a.key", passphrase="correct horse")
    assert made.private.stat().st_mode & 0o777 == 0o600
    assert len(made.fingerprint) == 64
    for path in ("a.key", "a.key.pub"):
        (tmp_path / "b.key.pub").write_text("mine")
        with pytest.raises(ParameterError, match="never overwritten"):
            keygen(tmp_path / path.replace("a.key.pub", "b.key"))
    assert not (tmp_path / "b.key").exists()
    assert (tmp_path / "b.key.pub").read_text() == "mine"


def test_a_key_needs_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=r"\. is a folder\. Name the key's file in it"):
        keygen(".")


def test_a_sealed_key_opens_with_its_passphrase_only(place: Path, tmp_path: Path) -> None:
    keygen(tmp_path / "sealed.key", passphrase="correct horse")
    for wrong in (None, "battery"):
        with pytest.raises(ParameterError, match="is sealed, and the passphrase does not open it"):
            let_out(place, out="sealed", key=tmp_path / "sealed.key", passphrase=wrong)
    made = let_out(place, out="sealed", key=tmp_path / "sealed.key", passphrase="correct horse")
    verify(made.out, key=tmp_path / "sealed.key.pub", today=TODAY)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = guarded(list(map(str, arguments)))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command_line(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "keygen", tmp_path / "k.key")[0] == 0
    assert run(capsys, "keygen", tmp_path / "k.key")[0] == 2
    gate = ("release", place / "fresh", "--policy", POLICY, "--key", tmp_path / "k.key", "-o", tmp_path / "out")
    code, text = run(capsys, *gate)
    assert code == 1
    assert "[insufficient evidence] Intended use." in text
    assert "Nothing was written." in text
    # One file of answers serves every policy: this one asks for no second approver.
    (tmp_path / "answers.toml").write_text('intended_use = "teaching"\nsecond_approver = "Dr B."\n')
    code, text = run(capsys, *gate, "--answers", tmp_path / "answers.toml")
    assert code == 0
    assert "Passed policy gate v4 under adversaries membership (" in text
    code, text = run(capsys, "verify", tmp_path / "out", "--key", tmp_path / "k.key.pub")
    assert code == 0
    assert "It passed policy gate v4" in text
    assert run(capsys, "label", tmp_path / "out")[0] == 0
    assert run(capsys, "label", place / "train.csv")[0] == 1
    (tmp_path / "out" / "card.md").write_text("changed")
    code, text = run(capsys, "verify", tmp_path / "out", "--key", tmp_path / "k.key.pub")
    assert code == 1
    assert "'card.md' was changed" in text
    code, text = run(capsys, "release", place / "fresh", "--policy", "open", "--key", tmp_path / "k.key", "-o", tmp_path / "open", "--json")
    assert code == 1
    assert json.loads(text)["decision"]["verdict"] == "insufficient evidence"
    assert not (tmp_path / "open").exists()


def test_a_release_is_replaced_by_force_only(place: Path, released: Path) -> None:
    with pytest.raises(ParameterError, match="exists already"):
        let_out(place, force=False)
    assert let_out(place).out == released


def test_columns_that_the_holdout_lacks_never_leave(place: Path) -> None:
    (place / "narrow").mkdir()
    for name in ("train.csv", "fresh.csv"):
        shutil.copyfile(place / name, place / "narrow" / name)
    pd.read_csv(place / "holdout.csv").drop(columns="chol").to_csv(place / "narrow" / "holdout.csv", index=False)
    evidence(place / "narrow", "fresh.csv", "out")
    with pytest.raises(GateError, match="columns that the holdout lacks, so that no figure or attack looked at them: 'chol'"):
        let_out(place, source="narrow/out", out="narrow/release")
    assert not (place / "narrow" / "release").exists()
