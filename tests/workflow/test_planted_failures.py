"""The gate from the command line: `partners` refuses each planted failure by the check meant for it; a fair release leaves."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.cli.failures import guarded
from manikin.workflow import judge as judging

N, FEW = 3000, 800  # people in each table; in the narrow one of failures that no attack is needed for
NUMBERS = {
    "pressure": (120, 12), "chol": (200, 30), "glucose": (95, 12), "haemoglobin": (135, 14), "sodium": (139, 4), "weight": (74, 13),
    "height": (170, 9), "platelets": (250, 50), "albumin": (41, 4), "ferritin": (120, 35), "potassium": (42, 4), "crp": (60, 18),
}  # fmt: skip
ANSWERS = """
title = "Ward patients"
publisher = "A hospital"
intended_use = "Teaching"
consent_basis = "Ethics board 2026-114"
data_use_terms = "Agreement 17"
"""
JUDGED = {
    "metrics": ["identifiers", "rare_values", "copies", "tstr", "representation", "mode_collapse", "subgroup_gap"],
    "attacks": ["membership", "attribute_inference", "singling_out", "linkability", "identity_disclosure"],
}
Run = Callable[..., tuple[int, str]]


def patients(seed: int, n: int = N) -> pd.DataFrame:
    """People with so many measurements that near-copies of them can be told from fresh people."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n)
    table = pd.DataFrame({"age": age, "sex": rng.choice(["F", "M"], n)})
    for name, (mean, deviation) in NUMBERS.items():
        table[name] = np.round(rng.normal(mean + 0.2 * (age - 55), deviation), 1)
    table["ward"] = rng.choice(["surgery", "medicine"], n)
    table["died"] = np.where(rng.random(n) < 1 / (1 + np.exp(-(age - 56) / 35)), "yes", "no")
    return table


TRAIN, HOLDOUT, FRESH = patients(11), patients(12), patients(18)
NARROW = ["age", "sex", "pressure", "chol", "ward", "died"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    for n, columns in ((N, list(TRAIN)), (FEW, NARROW)):
        TRAIN.head(n)[columns].to_csv(folder / f"train{n}.csv", index=False)
        HOLDOUT.head(n)[columns].to_csv(folder / f"holdout{n}.csv", index=False)
    (folder / "answers.toml").write_text(ANSWERS)
    assert guarded(["keygen", str(folder / "a.key")]) == 0
    return folder


@pytest.fixture
def gate(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Evaluates a synthetic table with some measures and asks `partners`: the exit code and what was said."""

    def run(synthetic: pd.DataFrame, metrics: list[str], attacks: list[str]) -> tuple[int, str]:
        synthetic.to_csv(tmp_path / "synthetic.csv", index=False)
        monkeypatch.setattr(judging, "measure", partial(judging.measure, metrics=metrics, attacks=attacks))
        n = len(synthetic)
        files = ["--train", place / f"train{n}.csv", "--holdout", place / f"holdout{n}.csv", "--synthetic", tmp_path / "synthetic.csv"]
        assert guarded(list(map(str, ["evaluate", *files, "--target", "died", "-o", tmp_path / "evidence"]))) == 0
        capsys.readouterr()
        answered = ["--answers", place / "answers.toml", "-o", tmp_path / "release"]
        code = guarded(list(map(str, ["release", tmp_path / "evidence", "--policy", "partners", "--key", place / "a.key", *answered])))
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        assert (tmp_path / "release").exists() == (code == 0)
        return code, said.out

    return run


def near_copies(share: float) -> pd.DataFrame:
    """The fresh release in which a share of the rows are train rows, each number moved by a tenth of its deviation."""
    rng, n = np.random.default_rng(5), int(share * N)
    copies = TRAIN.sample(n, random_state=1).reset_index(drop=True)
    for name in NUMBERS:
        copies[name] = np.round(copies[name] + rng.normal(0, 0.1 * TRAIN[name].std(), n), 1)
    return pd.concat([copies, FRESH.iloc[n:]], ignore_index=True)


def mail(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(contact=[f"person{i}@example.org" for i in range(len(table))])


def remarks(table: pd.DataFrame) -> pd.DataFrame:
    """Train has no such remarks: the column is unknown to it, and so to every attack."""
    words = np.random.default_rng(7).choice(["pain", "since", "monday", "after", "fall", "daughter", "works", "baker"], (len(table), 9))
    return table.assign(remark=list(map(" ".join, words)))


def shuffled(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(died=np.random.default_rng(3).permutation(table["died"]))


SMALL = FRESH.head(FEW)[NARROW]
FAILURES = {
    "train rows": (TRAIN.head(FEW)[NARROW], ["copies"], ["membership"], ["Copies of real rows", "Membership"]),
    "near-copies": (near_copies(0.05), ["copies"], ["membership"], ["Rows that are as close to real ones"]),
    "an e-mail column": (mail(SMALL), ["identifiers"], [], ["Direct identifiers", "Columns that nothing could judge"]),
    "free text": (remarks(SMALL), ["identifiers"], [], ["Columns that nothing could judge"]),
    "lost variety": (SMALL.head(20).sample(FEW, replace=True, random_state=1), ["mode_collapse"], [], ["Variety of patients"]),
    "an erased group": (FRESH.query("sex == 'F'").head(FEW)[NARROW], ["representation"], [], ["The group of patients"]),
    "a shuffled outcome": (shuffled(SMALL), ["tstr"], [], ["What a model loses"]),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_planted_failure_is_refused_by_its_check(gate: Run, failure: str) -> None:
    synthetic, metrics, attacks, checks = FAILURES[failure]
    code, said = gate(synthetic, metrics, attacks)
    assert code == 1
    failed = re.findall(r"^\[fail\] (.*)$", said, re.MULTILINE)
    for check in checks:
        assert any(line.startswith(check) for line in failed), (check, failed)
    assert all("Limit: at " in line and "lies beyond the limit." in line for line in failed), failed
    assert "Not passed: policy partners v2" in said
    assert "@" not in said


def test_a_fair_release_passes_and_one_changed_byte_is_noticed(
    gate: Run, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = gate(FRESH, **JUDGED)
    assert code == 0, said
    assert "Passed policy partners v2 under adversaries membership" in said
    check = ["verify", str(tmp_path / "release"), "--key", str(place / "a.key.pub")]
    assert guarded(check) == 0
    for path in sorted((tmp_path / "release").iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        capsys.readouterr()
        assert guarded(check) == 1
        assert path.name in capsys.readouterr().err
        path.write_bytes(whole)
    assert guarded(check) == 0
