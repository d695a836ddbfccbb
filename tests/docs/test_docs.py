"""README and docs say what is so: their snippets run, their links lead somewhere, their commands and options exist."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from manikin.cli.failures import guarded

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("**/*.md")])
WITH_SNIPPETS = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("quickstart", "cli", "inference"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


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
def test_snippets_run_from_top_to_bottom(page: Path) -> None:
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
    """`auto` may choose a network: in tests its steps are capped."""
    is_free = arguments[0] == "synthesize" and not {"--synthesizer", "--replay"} & set(arguments)
    return [*arguments, "--max-steps", "20"] if is_free else arguments


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{name_of(page)} points at {target}"


def test_the_page_of_commands_names_every_command_and_option() -> None:
    from typer.main import get_command

    from manikin.cli.app import app

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    commands = get_command(app).commands
    for name, command in commands.items():
        assert f"## manikin {name}\n" in text
        section = text.split(f"## manikin {name}\n")[1].split("\n## ")[0]
        if "Options as `synthesize`" in section:
            section += text.split("## manikin synthesize\n")[1].split("\n## ")[0]
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert f"`{option}" in section or f" {option}" in section or f"{option}`" in section, f"{name} {option}"


def test_setting_up_names_two_commands_that_the_makefile_has() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Setting up\n")[1].split("\n## ")[0]
    commands = re.findall(r"^    (\S.*?)\s*(?:#.*)?$", section, re.MULTILINE)
    assert commands == ["make demo", "make test"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test", "check", "bench", "verify", "clean"} <= set(targets)


def test_the_changelog_is_made_from_fragments(tmp_path: Path) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("changelog", ROOT / "tools" / "changelog.py")
    assert spec is not None
    assert spec.loader is not None
    changelog = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(changelog)
    changelog.fragments(ROOT / "changes")  # raises where one is misnamed or empty
    (tmp_path / "b.fixed.md").write_text("A fault\nis gone.\n")
    (tmp_path / "a.added.md").write_text("Something new.")
    assert changelog.entry(changelog.fragments(tmp_path)) == "### Added\n\n- Something new.\n\n### Fixed\n\n- A fault is gone.\n"
    (tmp_path / "c.md").write_text("x")
    with pytest.raises(ValueError, match=r"c\.md is not named"):
        changelog.fragments(tmp_path)


def test_the_constraints_pin_what_the_project_asks_for() -> None:
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    for requirement in asked:
        version = pinned[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), f"{requirement} against {version}"
    assert pinned["torch"] == "2.13.0"
    assert not any("+" in version for version in pinned.values())
