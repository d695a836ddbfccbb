"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from manikin.data.errors import InputError, ParameterError
from manikin.workflow.output import CHECKPOINT, check_free, clear, is_resumable, whole_file, whole_folder, write_json

JOB = {"data": "abc", "seed": 0}
OURS = '{"made_by": "manikin 0.1"}'


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def break_off(place: AbstractContextManager[Path], error: BaseException) -> None:
    """Writes half of it, and fails."""
    with place as beside:
        (beside / "checkpoint" if beside.is_dir() else beside).write_text("step 5")
        raise error


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "deep" / "a.csv", force=False) as beside:
        assert beside.suffix == ".csv"
        beside.write_text("x")
        assert not (tmp_path / "deep" / "a.csv").exists()
    assert everything(tmp_path) == ["deep", "deep/a.csv"]


def test_a_failure_leaves_no_file_and_the_old_one_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError):
        break_off(whole_file(target, force=True), RuntimeError())
    assert target.read_text() == "old"
    assert everything(tmp_path) == ["a.csv"]


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(ParameterError, match=r"exists already.*--force"), whole_file(target, force=False):
        pytest.fail("the body must not run")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text(OURS)
    with pytest.raises(ParameterError, match=r"exists already.*--force"), whole_folder(folder, force=False):
        pytest.fail("the body must not run")
    assert target.read_text() == "old"
    assert everything(tmp_path) == ["a.csv", "run", "run/manifest.json"]


def test_force_replaces_our_own_folder_and_no_other(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder, name, text in ((ours, "manifest.json", OURS), (theirs, "thesis.docx", "old")):
        folder.mkdir()
        (folder / name).write_text(text)
    with whole_folder(ours, force=True) as partial:
        (partial / "new.txt").write_text("new")
    assert everything(ours) == ["new.txt"]
    with pytest.raises(ParameterError, match="was not written by Manikin"), whole_folder(theirs, force=True):
        pytest.fail("the body must not run")
    assert (theirs / "thesis.docx").read_text() == "old"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with whole_folder(tmp_path / "run", force=False) as partial:
        (partial / "a").write_text("x")
    assert everything(tmp_path) == ["run", "run/a"]


def test_a_failed_folder_goes_and_an_interrupted_one_stays_for_the_same_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(ValueError):
        break_off(whole_folder(run, force=False, job=JOB), ValueError())
    assert everything(tmp_path) == []
    with pytest.raises(KeyboardInterrupt):
        break_off(whole_folder(run, force=False, job=JOB), KeyboardInterrupt())
    assert not run.exists()
    assert is_resumable(run, JOB)
    assert not is_resumable(run, {**JOB, "seed": 1})
    with whole_folder(run, force=False, job=JOB) as partial:
        assert (partial / "checkpoint").read_text() == "step 5"
    assert everything(tmp_path) == ["run", "run/checkpoint"]


def test_an_interrupted_run_of_another_job_is_not_reused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        break_off(whole_folder(run, force=False, job=JOB), KeyboardInterrupt())
    with whole_folder(run, force=False, job={**JOB, "seed": 1}) as partial:
        assert not (partial / "checkpoint").exists()


def test_a_strange_partial_folder_is_left_alone(tmp_path: Path) -> None:
    strange = tmp_path / "run.partial"
    strange.mkdir()
    (strange / "thesis.docx").write_text("mine")
    with pytest.raises(ParameterError, match="in the way"), whole_folder(tmp_path / "run", force=True):
        pytest.fail("the body must not run")
    assert (strange / "thesis.docx").read_text() == "mine"


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with whole_folder(run, force=False, job=JOB), pytest.raises(InputError, match="Another run"):
        break_off(whole_folder(run, force=False, job=JOB), AssertionError("the body must not run"))
    assert run.is_dir()


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ParameterError, match="no folder that you may write to"):
        check_free(tmp_path / "file" / "run", force=False)
    with pytest.raises(ParameterError, match="a link"):
        check_free(tmp_path / "link", force=True)
    for here in (Path(), Path(".."), Path("/")):
        with pytest.raises(ParameterError, match="the folder you are in"):
            check_free(here, force=True)
    with pytest.raises(ParameterError, match="is a file"), whole_folder(tmp_path / "file", force=True):
        pytest.fail("the body must not run")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(ParameterError, match="no folder that you may write to"):
            check_free(tmp_path / "locked" / "run", force=False)


@pytest.mark.parametrize(
    ("name", "text"), [("config.json", '{"format": "theirs"}'), ("manifest.json", "{}"), ("results.json", "old"), ("config.json", "[]")]
)
def test_force_leaves_folders_of_other_tools_with_our_file_names(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(ParameterError, match="was not written by Manikin"), whole_folder(tmp_path, force=True):
        pytest.fail("the body must not run")
    assert everything(tmp_path) == sorted([name, "thesis.docx"])


def test_force_leaves_what_stands_beside_the_folder(tmp_path: Path) -> None:
    run, kept = tmp_path / "run", tmp_path / "run.old"
    for folder in (run, kept):
        folder.mkdir()
        (folder / "config.json").write_text('{"format": "manikin-model"}')
    with whole_folder(run, force=True) as partial:
        (partial / "new").write_text("x")
    assert everything(tmp_path) == ["run", "run.old", "run.old/config.json", "run/new"]


def test_a_kill_at_the_last_rename_leaves_what_the_next_run_takes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with (  # noqa: PT012
        monkeypatch.context() as patched,
        pytest.raises(KeyboardInterrupt),
        whole_folder(run, force=False, job=JOB) as partial,
    ):
        write_json(partial / "manifest.json", {"made_by": "manikin 0.1"})
        patched.setattr(os, "rename", kill)
    assert is_resumable(run, JOB)
    with whole_folder(run, force=False, job=JOB) as partial:
        assert (partial / "manifest.json").is_file()
    assert everything(tmp_path) == ["run", "run/manifest.json"]


def test_a_finished_folder_without_its_job_is_no_obstacle(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (tmp_path / "run.partial").mkdir()
    write_json(tmp_path / "run.partial" / "manifest.json", {"made_by": "manikin 0.1"})
    with whole_folder(run, force=False, job=JOB) as partial:
        (partial / "new").write_text("x")
    assert everything(tmp_path) == ["run", "run/new"]


def test_the_only_copy_of_a_checkpoint_is_kept(tmp_path: Path) -> None:
    for name in ("checkpoint", "checkpoint.old", "half"):
        (tmp_path / name).mkdir()
    clear(tmp_path, keep=(CHECKPOINT,))
    assert everything(tmp_path) == ["checkpoint", "checkpoint.old"]
    clear(tmp_path, keep=())
    assert everything(tmp_path) == []


def test_what_a_command_reads_is_never_replaced(tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_text("age\n1\n")
    (tmp_path / "other.csv").write_text("age\n2\n")
    for force in (False, True):
        with pytest.raises(ParameterError, match="never replaced"):
            check_free(table, force=force, inputs=[tmp_path / "." / "patients.csv"])
    check_free(tmp_path / "other.csv", force=True, inputs=[table, None, 3])


def test_a_folder_is_not_replaced_when_the_command_reads_a_file_in_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "manifest.json").write_text(OURS)
    (run / "synthetic.csv").write_text("age\n1\n")
    for read in (run / "synthetic.csv", run / "model", tmp_path / "." / "run" / "model"):
        with pytest.raises(ParameterError, match=f"run holds {read.name}, which this command reads"):
            check_free(run, force=True, inputs=[str(read)])
    check_free(run / "explanation", force=True, inputs=[run / "model"])
    check_free(run, force=True, inputs=[tmp_path / "other.csv"])
