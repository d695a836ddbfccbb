"""The pages on metrics and results.json say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.results_file import FORMAT, write_results
from manikin.evaluation.suite import evaluate

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_its_line(name):
    assert f"| `{name}` |" in (DOCS / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(ATTACKS))
def test_every_attack_has_its_line(name):
    assert f"| `{name}` |" in (DOCS / "attacks.md").read_text(encoding="utf-8")


def test_every_key_of_the_file_is_documented(good, tmp_path):
    import json

    page = (DOCS / "results-schema.md").read_text(encoding="utf-8")
    results = evaluate(good, seed=0, metrics=[name for name, entry in METRICS.items() if name != "c2st" and entry.modality == "table"])
    document = json.loads(write_results(results, tmp_path / "results.json").read_text())
    assert FORMAT in page
    keys = {*document, *document["views"], *document["metrics"][0], *document["attacks"][0]}
    figures = document["metrics"] + document["attacks"]
    keys |= {key for figure in figures for key in figure["details"] if not key.endswith(("_reference", "_interval"))}
    keys |= {key for view in document["views"]["columns"] for key in view}
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []


def test_the_example_of_a_metric_works(good):
    code = (DOCS / "metrics.md").read_text(encoding="utf-8").split("```python")[-1].split("```")[0]
    scope: dict[str, object] = {}
    exec(code, scope)
    result = scope["row_share"](good, seed=0)
    assert result.value == round(1000 / 1005, 6)
