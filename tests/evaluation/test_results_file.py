"""results.json comes back as it was written; foreign and damaged files are refused with a way out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from manikin.data.errors import DataError
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Rate, Results, Section, ThreatModel
from manikin.evaluation.results_file import FORMAT, VERSION, read_results, write_results

RESULTS = Results(
    (
        MetricResult(
            "a", "A figure", Section.FIDELITY, Direction.HIGHER, 0.5, (0.4, 0.6), 10, details={"columns": [{"column": "é"}]}
        ),
        MetricResult("b", "Another", Section.PRIVACY, Direction.REFERENCE, None, note="Not computed: no target."),
    ),
    {"columns": [{"column": "x", "train": [0.5, 0.5]}]},
    {"seed": 1},
    (
        AttackResult(
            "c", "An attack", Section.PRIVACY, Direction.LOWER, 0.1, (0.0, 0.2), 50, "targets", 0.0,
            threat_model=ThreatModel("holds the release", "wants a name", "succeeds when she has it", "linkability"),
            attack=Rate(0.2, (0.1, 0.3), 10, 50), control=Rate(0.1, (0.05, 0.2), 5, 50), n_requested=60, power=0.12,
            worst_group="sex F", groups=({"group": "sex F", "n": 20, "value": 0.2, "interval": [0.1, 0.4]},),
        ),
    ),
)  # fmt: skip


def test_a_file_of_version_1_has_no_attacks(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**good_document(), "version": 1}))
    assert read_results(path).attacks == ()


def test_round_trip(tmp_path):
    path = write_results(RESULTS, tmp_path / "results.json")
    assert read_results(path) == RESULTS
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_numpy_values_and_nan_become_plain_json(tmp_path):
    results = Results((), {"matrix": np.array([[1.0, np.nan]])}, {"seconds": np.float64(2.5), "n": np.int64(3)})
    document = json.loads(write_results(results, tmp_path / "r.json").read_text())
    assert document["views"] == {"matrix": [[1.0, None]]}
    assert document["run"] == {"seconds": 2.5, "n": 3}
    assert document["format"] == FORMAT
    assert "Internal" in document["notice"]


def good_document() -> dict:
    entry = {"name": "a", "title": "A", "section": "fidelity", "direction": "higher", "value": 0.5}
    return {"format": FORMAT, "version": VERSION, "metrics": [entry], "views": {}, "run": {}}


def test_a_minimal_document_is_read(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(good_document()))
    assert read_results(path)["a"].value == 0.5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "other"}, "not a results file"),
        ({"version": VERSION + 1}, "newer Manikin"),
        ({"version": "1"}, "which version"),
        ({"version": True}, "which version"),
        ({"metrics": {}}, "'metrics'"),
        ({"attacks": {}}, "'attacks'"),
        ({"attacks": [{"name": "a"}]}, "attack 1, title"),
        ({"attacks": good_document()["metrics"]}, "twice"),
        ({"views": []}, "'views'"),
        ({"run": None}, "'run'"),
        ({"metrics": [{"name": "a"}]}, "metric 1, title"),
        ({"metrics": [{**good_document()["metrics"][0], "value": "Mrs Miller"}]}, "metric 1, value"),
        ({"metrics": [3]}, "metric 1"),
        ({"metrics": good_document()["metrics"] * 2}, "twice"),
    ],
)
def test_foreign_and_damaged_files_are_refused(tmp_path, change, says):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**good_document(), **change}))
    with pytest.raises(DataError, match=says) as refusal:
        read_results(path)
    assert "Miller" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": NaN}', b"[" * 100_000, b"[1, 2]", b"\xff\xfe\x00", b"a,b\n1,2\n"])
def test_what_is_not_json_is_refused(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(path)


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_results(tmp_path / "absent.json")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_results(RESULTS, tmp_path / "results.json")
    before = path.read_bytes()

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_results(Results((), {}, {"odd": Unprintable()}), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_results_show_themselves():
    html, text = RESULTS._repr_html_(), repr(RESULTS)
    assert "0.400 – 0.600" in html
    assert "Not computed: no target." in html
    assert html.index("Fidelity") < html.index("Privacy")
    assert text.splitlines()[1].split()[:2] == ["a", "0.500"]
    assert "Not computed" in text


def test_titles_are_escaped_in_html():
    odd = MetricResult("a", "<script>", Section.FIDELITY, Direction.HIGHER, 1.0, note='"quoted" <b>')
    html = Results((odd,))._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
