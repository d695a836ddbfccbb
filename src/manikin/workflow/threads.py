"""One cap on threads for torch, OpenMP and BLAS together; set before any of them is imported. Knows nothing of what runs on them.

Bytes are promised at a fixed thread count, so the manifest records the number; and an oversubscribed loop was seen to run ten times
slower than a single thread, so the default is small.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from manikin.data.errors import ParameterError

VARIABLE = "MANIKIN_THREADS"
MOST_BY_DEFAULT = 4  # tables are small: beyond four threads the loops here wait for each other
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_MAX_THREADS")


def cap_threads(environment: MutableMapping[str, str] | None = None) -> int:
    """Sets the cap for this process and returns it.

    MANIKIN_THREADS decides; without it an OMP_NUM_THREADS that the user set; without both the physical cores, at most four.

    Raises
    ------
    ParameterError : when MANIKIN_THREADS is not a whole number above 0.
    """
    env = os.environ if environment is None else environment
    wish = env.get(VARIABLE)
    if wish is not None and not (wish.isdecimal() and int(wish) > 0):
        raise ParameterError(f"The environment variable {VARIABLE} must be a whole number above 0. Got {wish!r} instead.")
    theirs = env.get("OMP_NUM_THREADS", "")
    if wish is not None:
        n_threads = int(wish)
    elif theirs.isdecimal() and int(theirs) > 0:
        n_threads = int(theirs)
    else:
        n_threads = min(physical_cores(), MOST_BY_DEFAULT)
    for name in _LIBRARIES:
        env[name] = str(n_threads)
    env.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads sleep; spinning ones took four times the CPU on a busy machine
    return n_threads


def threads_in_use() -> int:
    """The cap that holds in this process, as `cap_threads` or the user set it; the number of physical cores where nobody did."""
    number = os.environ.get("OMP_NUM_THREADS", "")
    return int(number) if number.isdecimal() and int(number) > 0 else physical_cores()


def physical_cores() -> int:
    """Cores that this process may run on, counting the two threads of one core once where the system tells (Linux)."""
    try:
        allowed = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
    cores = {_siblings(cpu) for cpu in allowed}
    return max(len(cores), 1)


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)
