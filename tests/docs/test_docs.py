"""README and docs say what is so: their links lead somewhere, their commands and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("**/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


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
