"""From a table to a report: read, split, learn, sample, measure."""

from pathlib import Path

from lifelines.datasets import load_gbsg2

import manikin as mk

patients = mk.read(load_gbsg2().head(300))
train, holdout = mk.split(patients, seed=0)
model = mk.synthesizer("forest").fit(train, seed=0)
synthetic = model.sample(len(train), seed=0)

results = mk.evaluate(train=train, holdout=holdout, synthetic=synthetic, target="cens", metrics=["c2st", "column_shapes"])
print(f"told apart from real rows with AUC {results['c2st'].value:.2f}; real from real {results['c2st'].reference:.2f}")
mk.report(results, "report.html")
assert Path("report.html").stat().st_size < 5_000_000
