"""Shared by the scripts that run one measure of an evaluation package: reads the files, meters the measure, prints one JSON line."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable

import pandas as pd


def read(files: list[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Train, holdout and synthetic rows; a column is a number when it is one in all three."""
    frames = [pd.read_csv(path, low_memory=False) for path in files]
    for name in frames[0].columns:
        if not all(pd.api.types.is_numeric_dtype(frame[name]) for frame in frames):
            for frame in frames:
                frame[name] = frame[name].astype("object").where(frame[name].isna(), frame[name].astype(str))
    return frames[0], frames[1], frames[2]


def meter(measures: dict[str, Callable[[], object]]) -> None:
    """Runs the measure named on the command line and prints its CPU seconds, peak memory and result."""
    name, limit = sys.argv[1], float(sys.argv[6])
    used = cpu()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + limit) + 1, int(used + limit) + 10))
    value = measures[name]()
    line = {
        "cpu_seconds": round(cpu() - used, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "value": repr(value)[:300],
    }
    print(json.dumps(line))


def cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
