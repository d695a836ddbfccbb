"""Where the developers' real tables are, for the slow checks; they skip what is absent. Knows no check."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(os.environ.get("MANIKIN_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
ENDINGS = (".csv", ".csv.gz", ".parquet")


def tables(most_bytes: int) -> list[str]:
    """Paths below the folder, of the files that are no larger."""
    if not SHARED.is_dir():
        return []
    found = [path for path in sorted(SHARED.rglob("*")) if path.name.endswith(ENDINGS) and path.stat().st_size < most_bytes]
    return [str(path.relative_to(SHARED)) for path in found]
