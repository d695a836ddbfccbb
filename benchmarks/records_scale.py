"""Memory along the number of events to learn from, and along the number of patients to stream. Each size in a process of its own.

    python benchmarks/records_scale.py memory TABLES/physionet2012 OUT --sizes 500000,1000000,2000000 --model event_transformer
    python benchmarks/records_scale.py stream TABLES/pbcseq OUT --sizes 1000,10000,100000 --model event_transformer --format .parquet
    python benchmarks/records_scale.py sample TABLES/pbcseq OUT --sizes 10000,100000,1000000 --model markov --format parquet
    python benchmarks/records_scale.py sample TABLES/pbcseq OUT --sizes 10000,100000 --model markov --format fhir

`memory` repeats the patients of train under new keys until there are that many events, fits and samples 100 patients. `stream` fits once,
saves the model, and for each size loads it and writes that many patients to a folder, batch by batch; what is written is counted and taken
away again. `sample` does so through the command line (`manikin fit`, `manikin sample --format`) and looks at every key that was written:
none twice, none of a real patient, every reference to a patient who is there; FHIR gets train as Patient and Observation (bilirubin)
resources, which are learned anew. All print a line a size and write OUT/<what>-<table>-<model>.json: CPU seconds and greatest resident
memory, in MiB.
`event_transformer+epochs=1` sets a hyperparameter.
"""

from __future__ import annotations

import argparse
import array
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


def as_fhir(train: Path, out: Path) -> None:
    """Writes pbcseq's patients and their bilirubin as FHIR R4 in NDJSON; days count from 1974-05-01."""
    people, visits = (pd.read_csv(train / f"{name}.csv") for name in ("patients", "visits"))
    begun = pd.Timestamp("1974-05-01")
    born = (begun - pd.to_timedelta((365.25 * people["age"]).round(), unit="D")).dt.strftime("%Y-%m-%d")
    taken = (begun + pd.to_timedelta(visits["day"], unit="D")).dt.strftime("%Y-%m-%d")
    sexes = {"f": "female", "m": "male"}
    out.mkdir(parents=True)
    with (out / "Patient.ndjson").open("w") as lines:
        for key, sex, day in zip(people["id"], people["sex"], born, strict=True):
            lines.write(json.dumps({"resourceType": "Patient", "id": str(key), "gender": sexes[sex], "birthDate": day}) + "\n")
    with (out / "Observation.ndjson").open("w") as lines:
        for number, (key, day, value) in enumerate(zip(visits["id"], taken, visits["bili"], strict=True), 1):
            made = {"resourceType": "Observation", "id": str(number), "status": "final", "subject": {"reference": f"Patient/{key}"}}
            made |= {"code": {"coding": [{"system": "http://loinc.org", "code": "1975-2"}]}, "effectiveDateTime": day}
            lines.write(json.dumps(made | {"valueQuantity": {"value": value, "unit": "mg/dL"}}) + "\n")


def sample(options: argparse.Namespace, work: Path) -> list[dict]:
    """Writes each size through the command line, and looks at the keys."""
    train, made = options.tables / "train", work / "made"
    if options.format == "fhir":
        as_fhir(train, work / "fhir")
        train = work / "fhir"
    command = [sys.executable, "-m", "manikin.cli"]
    subprocess.run([*command, "fit", train, "--synthesizer", options.model, "-o", work / "model"], check=True, stderr=subprocess.DEVNULL)
    lines = []
    for size in options.sizes:
        told = [*command, "sample", work / "model", "-n", size, "--format", options.format, "-o", made]
        usage = metered([str(part) for part in told])
        read = fhir_keys if options.format == "fhir" else parquet_keys
        lines.append({"patients": size} | usage | looked_at(*read(made), real_keys(train)))
        lines[-1]["bytes"] = sum(path.stat().st_size for path in made.iterdir())
        print(lines[-1], flush=True)
        shutil.rmtree(made)
    return lines


def metered(command: list[str]) -> dict:
    """Runs a command; its CPU seconds and greatest resident memory."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {"cpu_s": round(usage.ru_utime + usage.ru_stime, 1), "peak_mb": round(usage.ru_maxrss / 1024)}


def real_keys(train: Path) -> np.ndarray:
    """Keys of real patients."""
    if (train / "Patient.ndjson").exists():
        return np.array([int(json.loads(line)["id"]) for line in (train / "Patient.ndjson").open()])
    return pd.read_csv(train / "patients.csv", usecols=["id"])["id"].to_numpy(dtype=np.int64)


def parquet_keys(made: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of patients, of rows (none here), and the patients that rows name."""
    import pyarrow.parquet as pq

    patients, rows = (pq.read_table(made / f"{name}.parquet", columns=["id"])["id"].to_numpy() for name in ("patients", "visits"))
    return patients.astype(np.int64), np.zeros(0, dtype=np.int64), rows.astype(np.int64)


def fhir_keys(made: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of NDJSON, read line by line; of every hundredth line as JSON, to see that its keys are those that were found."""
    keys: tuple[array.array, ...] = tuple(array.array("q") for _ in range(3))
    for name, into in (("Patient", keys[0]), ("Observation", keys[1])):
        with (made / f"{name}.ndjson").open() as lines:
            for number, line in enumerate(lines):
                key = line.split('"id": "', 1)[1].split('"', 1)[0]
                into.append(int(key))
                patient = line.split('"Patient/', 1)[1].split('"', 1)[0] if name == "Observation" else ""
                if patient:
                    keys[2].append(int(patient))
                if number % 100 == 0:
                    one = json.loads(line)
                    assert one["id"] == key, name
                    assert one.get("subject", {"reference": "Patient/"})["reference"] == f"Patient/{patient}", name
    return tuple(np.frombuffer(own, dtype=np.int64) if own else np.zeros(0, dtype=np.int64) for own in keys)


def looked_at(patients: np.ndarray, rows: np.ndarray, named: np.ndarray, real: np.ndarray) -> dict:
    """How many rows there are, keys that stand twice, keys of real patients, and rows of nobody."""
    twice = len(patients) - len(np.unique(patients)) + len(rows) - len(np.unique(rows))
    return {
        "rows": len(patients) + len(named),
        "keys_twice": int(twice),
        "keys_of_real": int(np.isin(patients, real).sum()),
        "rows_of_nobody": int((~np.isin(named, patients)).sum()),
        "patients_written": len(patients),
    }


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "stream", "sample", "one"))
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], required=True)
    parser.add_argument("--model", default="event_transformer")
    parser.add_argument("--format", default=".csv", help="of what is written: .csv, .parquet; of `sample`: parquet, fhir")
    options = parser.parse_args()
    if options.what == "one":
        return one(options)
    with tempfile.TemporaryDirectory() as work:
        lines = {"memory": memory, "stream": stream, "sample": sample}[options.what](options, Path(work))
    options.out.mkdir(parents=True, exist_ok=True)
    told = {"table": options.tables.name, "model": options.model, "format": options.format, "lines": lines}
    kind = f"-{options.format}" if options.what == "sample" else ""
    (options.out / f"{options.what}{kind}-{options.tables.name}-{options.model}.json").write_text(json.dumps(told, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
