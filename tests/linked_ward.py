"""A made-up ward as a folder of linked tables: patients, stays, laboratory values and a table of codes, in three formats of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

N_PATIENTS = 120


def frames(n: int = N_PATIENTS) -> dict[str, pd.DataFrame]:
    """The four tables; who dies is sicker, stays longer and has a higher creatinine."""
    rng = np.random.default_rng(11)
    keys = 5000 + 7 * np.arange(n)
    sick = rng.random(n) < 0.35
    born = pd.Timestamp("1940-01-01") + pd.to_timedelta(rng.integers(0, 18_000, n), unit="D")
    patients = pd.DataFrame({"subject_id": keys, "sex": rng.choice(["F", "M"], n), "born": born.strftime("%Y-%m-%d")})
    patients["died"] = np.where(sick & (rng.random(n) < 0.6), "yes", "no")
    stays = 1 + rng.poisson(np.where(sick, 1.0, 0.3))
    owner = np.repeat(np.arange(n), stays)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(stays) - stays, stays)
    begin = pd.Timestamp("2018-01-01") + pd.to_timedelta(rng.integers(0, 1500, n)[owner] + 60 * number, unit="D")
    begin += pd.to_timedelta(rng.integers(0, 1440, len(owner)), unit="min")
    end = begin + pd.to_timedelta((rng.exponential(np.where(sick[owner], 7, 3)) * 1440).astype(int) + 60, unit="min")
    visits = pd.DataFrame({"stay_id": 90_000 + rng.permutation(len(owner)), "subject_id": keys[owner]})
    visits["admitted"], visits["discharged"] = (times.strftime("%Y-%m-%d %H:%M:%S") for times in (begin, end))
    visits["unit"] = np.where(sick[owner], rng.choice(["ICU", "ward"], len(owner)), "ward")
    n_labs = 2 + rng.poisson(5, len(owner))
    of = np.repeat(np.arange(len(owner)), n_labs)
    code = rng.choice(["K", "Na", "creatinine"], len(of))
    level = np.select(
        [code == "K", code == "Na"],
        [rng.normal(4.2, 0.5, len(of)), rng.normal(139, 4, len(of))],
        np.where(sick[owner[of]], rng.lognormal(0.7, 0.4, len(of)), rng.lognormal(0.0, 0.2, len(of))),
    )
    share = rng.random(len(of))
    at = begin[of] + pd.to_timedelta((share * (end[of] - begin[of]).total_seconds()).astype(int), unit="s")
    labs = pd.DataFrame({"stay_id": visits["stay_id"].to_numpy()[of], "subject_id": keys[owner[of]], "charttime": at, "code": code})
    labs["value"] = np.where(rng.random(len(of)) < 0.04, np.nan, level.round(1))
    codes = pd.DataFrame({"code": ["K", "Na", "creatinine"], "label": ["potassium", "sodium", "creatinine, serum"]})
    return {"patients": patients, "stays": visits, "labs": labs, "d_codes": codes}


FILES = {"patients": "patients.csv", "stays": "stays.csv.gz", "labs": "labs.parquet", "d_codes": "d_codes.csv"}


@contextmanager
def few_figures() -> Iterator[None]:
    """Jobs measure two quick figures and attack nothing, for tests that ask about files and words."""
    import pytest

    import manikin.workflow.face  # noqa: F401 (takes the whole `measure` now, or it would keep the quick one)
    from manikin.evaluation import suite
    from manikin.workflow import judge

    whole = judge.measure

    def measure(*parts: Any, **named: Any) -> Any:
        return whole(*parts, **{**named, "metrics": ["key_integrity", "code_prevalence"], "attacks": []})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite, "records_views", lambda *_, **__: {})
        patch.setattr(judge, "measure", measure)
        yield


def write_ward(folder: Path, n: int = N_PATIENTS) -> Path:
    """Writes the tables into a new folder."""
    folder.mkdir(parents=True)
    for name, frame in frames(n).items():
        if FILES[name].endswith(".parquet"):
            frame.to_parquet(folder / FILES[name], index=False)
        else:
            frame.to_csv(folder / FILES[name], index=False)
    return folder
