"""The floor: train's own patients, drawn with replacement. Perfect in fidelity, worthless as protection: read every score beside it.

    python records_floor_run.py --model resample --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

Needs pandas only. Keys of patients are made anew; other keys are left as they are, so linked tables of more than one key hold them twice.
"""

from __future__ import annotations

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import numpy as np
import pandas as pd


def main() -> None:
    """Draws as the command line says."""
    job = shared.parse("resampled patients", ["resample"])
    facts = job.facts
    key = facts["patients"]["key"]

    def sample(tables: object, _: shared.Cost) -> shared.Tables:
        assert isinstance(tables, dict)
        name = facts["patients"]["table"] or facts["events"][0]["table"]
        known = tables[name][key].unique()
        drawn = np.random.default_rng(job.seed).choice(known, job.patients)
        copies = pd.DataFrame({key: drawn, "new": np.arange(shared.FIRST_KEY, shared.FIRST_KEY + job.patients)})
        made = {}
        for table, frame in tables.items():
            rows = frame.merge(copies, on=key) if key in frame else frame
            made[table] = rows.assign(**{key: rows["new"]})[list(frame)] if key in frame else rows
        return made

    shared.run(job, lambda tables, _: tables, sample, ["pandas"])


if __name__ == "__main__":
    main()
