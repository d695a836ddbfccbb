"""Memory along the number of events to learn from, and along the number of patients to stream. Each size in a process of its own.

    python benchmarks/records_scale.py memory TABLES/physionet2012 OUT --sizes 500000,1000000,2000000 --model event_transformer
    python benchmarks/records_scale.py stream TABLES/pbcseq OUT --sizes 1000,10000,100000 --model event_transformer --format .parquet

`memory` repeats the patients of train under new keys until there are that many events, fits and samples 100 patients. `stream` fits once,
saves the model, and for each size loads it and writes that many patients to a folder, batch by batch; what is written is counted and taken
away again. Both print a line a size and write OUT/<what>-<table>-<model>.json: CPU seconds and greatest resident memory, in MiB.
`event_transformer+epochs=1` sets a hyperparameter.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
FIRST_KEY = 800_000_001
N_DRAWN = 100


def repeated(folder: Path, facts: dict, n_events: int, out: Path) -> int:
    """Writes the patients of a folder, again and again under new keys, until there are `n_events`; the number of events written."""
    (event,) = facts["events"]
    key, statics = event["key"], facts["patients"]["table"]
    tables = {name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False) for name in (event["table"], statics)}
    sizes = tables[event["table"]].groupby(key, sort=False).size()
    chosen = np.resize(sizes.index.to_numpy(), int(np.ceil(n_events / sizes.mean() * 1.5)))
    chosen = chosen[: int(np.searchsorted(np.cumsum(sizes[chosen].to_numpy()), n_events)) + 1]
    keys = pd.DataFrame({key: chosen, "new": FIRST_KEY + np.arange(len(chosen))})
    out.mkdir(parents=True)
    for name, table in tables.items():
        rows = keys.merge(table, on=key).drop(columns=key).rename(columns={"new": key})[list(table)]
        rows.to_csv(out / f"{name}.csv", index=False)
    if (folder / "schema.toml").exists():
        shutil.copy(folder / "schema.toml", out)
    return int(sizes[chosen].sum())


def memory(options: argparse.Namespace, work: Path) -> list[dict]:
    """Fits on each size through the adapter that the comparison uses."""
    facts = json.loads((options.tables / "judge.json").read_text())
    lines = []
    for size in options.sizes:
        folder = work / str(size)
        n_events = repeated(options.tables / "train", facts, size, folder)
        command = [sys.executable, str(HERE / "peers" / "records_manikin_run.py"), "--model", options.model, "--train", str(folder)]
        command += ["--out", str(work / "made"), "--cost", str(work / "cost.json"), "--judge", str(options.tables / "judge.json")]
        subprocess.run([*command, "--patients", str(N_DRAWN)], check=True, stderr=subprocess.DEVNULL)
        cost = json.loads((work / "cost.json").read_text())
        lines.append({"events": n_events} | {name: cost[name] for name in ("fit_cpu_s", "sample_cpu_s", "peak_mb", "after_imports_mb")})
        print(lines[-1], flush=True)
        shutil.rmtree(folder)
    return lines


def stream(options: argparse.Namespace, work: Path) -> list[dict]:
    """Streams each size from the saved model."""
    import manikin as mk
    from manikin.io import linked

    name, *chosen = options.model.split("+")
    told = {key: json.loads(value) for key, value in (part.split("=", 1) for part in chosen)}
    mk.save(mk.synthesizer(name, **told).fit(linked.read(options.tables / "train"), seed=0), work / "model")
    lines = []
    for size in options.sizes:
        command = [sys.executable, __file__, "one", str(work / "model"), str(work / "made")]
        command += ["--sizes", str(size), "--format", options.format]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines.append(json.loads(done.stdout.splitlines()[-1]))
        print(lines[-1], flush=True)
        shutil.rmtree(work / "made")
    return lines


def one(options: argparse.Namespace) -> None:
    """In a process of its own: loads the model, streams patients to a folder, prints what it took."""
    import manikin as mk
    from manikin.io.linked.writing import FolderWriter

    (n,) = options.sizes
    model = mk.load(options.tables)
    writer, rows = None, 0
    for batch in model.sample_batches(n, seed=1):
        if writer is None:
            writer = FolderWriter(options.out, batch.schema, like=options.format).__enter__()
        writer.append(batch)
        rows += sum(len(table) for table in batch.tables.values())
    assert writer is not None
    writer.__exit__(None, None, None)
    size = sum(path.stat().st_size for path in options.out.iterdir())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    line = {"patients": n, "rows": rows, "bytes": size, "cpu_s": round(usage.ru_utime + usage.ru_stime, 1)}
    print(json.dumps(line | {"peak_mb": round(usage.ru_maxrss / 1024)}))


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "stream", "one"))
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], required=True)
    parser.add_argument("--model", default="event_transformer")
    parser.add_argument("--format", default=".csv", help="ending of the files that are streamed: .csv, .parquet")
    options = parser.parse_args()
    if options.what == "one":
        return one(options)
    with tempfile.TemporaryDirectory() as work:
        lines = (memory if options.what == "memory" else stream)(options, Path(work))
    options.out.mkdir(parents=True, exist_ok=True)
    told = {"table": options.tables.name, "model": options.model, "format": options.format, "lines": lines}
    (options.out / f"{options.what}-{options.tables.name}-{options.model}.json").write_text(json.dumps(told, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
