"""The judge of linked patients on tables whose scores are known.

python -m pytest benchmarks/test_records_judge.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

from records_judging import integrity

FACTS = {
    "patients": {"key": "person"},
    "keys": {"stays": ["stay"]},
    "links": [
        {"table": "drugs", "columns": ["stay"], "to": "stays", "references": ["stay"]},
        {"table": "stays", "columns": ["person"], "to": "people", "references": ["person"]},
    ],
}


def test_a_reference_to_a_row_of_another_patient_holds_but_is_told() -> None:
    """Of four drugs one names a stay of nobody, one none, one the stay of another person: of the two that hold one is her own."""
    people = pd.DataFrame({"person": ["a", "b"]})
    stays = pd.DataFrame({"stay": ["1", "2"], "person": ["a", "b"]})
    drugs = pd.DataFrame({"person": ["a", "a", "b", "b"], "stay": ["1", "2", "9", None]})
    good = {"people": people, "stays": stays, "drugs": drugs.iloc[:1]}
    told = integrity.integrity({"people": people, "stays": stays, "drugs": drugs}, good, FACTS)
    assert told["references_held"] == 1 - 1 / 5  # two of the three drugs' and both stays'
    assert told["references_of_own_patient"] == 0.5
    assert told["references_of_own_patient_in_train"] == 1
    assert told["keys_of_train"] == 1
