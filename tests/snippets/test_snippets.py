"""README and docs say what is so: their snippets run from top to bottom."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from manikin.cli.failures import guarded

ROOT = Path(__file__).resolve().parents[2]
WITH_SNIPPETS = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("quickstart", "cli", "inference"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the pages speak of: patients with lung cancer, in three parts."""
    from lifelines.datasets import load_lung

    lung = load_lung()
    sex, died = lung["sex"].map({1: "M", 2: "F"}), lung["status"].map({1: "yes", 0: "no"})
    patients = lung.drop(columns=["status", "sex", "inst"]).assign(sex=sex, died=died)
    for column in patients.select_dtypes("float"):
        patients[column] = patients[column].astype("Int64")
    patients.to_csv(tmp_path / "patients.csv", index=False)
    for i, part in enumerate(("train", "holdout", "synthetic")):
        patients[i::3].to_csv(tmp_path / f"{part}.csv", index=False)
    assert pd.notna(patients["died"]).all()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
@pytest.mark.usefixtures("place")
def test_snippets_run_from_top_to_bottom(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from manikin.workflow import demo
    from manikin.workflow.options import Options

    monkeypatch.setattr(demo, "Options", partial(Options, max_steps=20))  # as `_bounded` does for other commands
    snippets = FENCE.findall(page.read_text(encoding="utf-8"))
    assert snippets
    names: dict[str, object] = {}
    for language, text in snippets:
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(text, name_of(page), "exec"), names)  # the pages are ours
        elif language == "sh":
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "manikin", line
                said = io.StringIO()
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                    code = guarded(_bounded(arguments))
                assert code == 0, f"{line}\n{said.getvalue()}"
        else:
            pytest.fail(f"{name_of(page)} has a snippet in {language}, which nothing runs")


def _bounded(arguments: list[str]) -> list[str]:
    """`auto` may choose a network: in tests its steps are capped, and a study has two splits and one learner."""
    if arguments[:2] == ["study", "augmentation"] and "--splits" not in arguments:
        return [*arguments, "--splits", "2", "--learner", "logistic"]
    is_free = arguments[0] == "synthesize" and not {"--synthesizer", "--replay"} & set(arguments)
    return [*arguments, "--max-steps", "20"] if is_free else arguments
