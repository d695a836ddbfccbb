"""Any tool's synthetic table can be judged: here a bad one, rows of which are real rows with a little noise."""

import numpy as np
from lifelines.datasets import load_gbsg2

import manikin as mk

frame = load_gbsg2()
train, holdout = frame[:450], frame[450:]
copied = train.sample(frac=1, random_state=0)
copied["estrec"] += np.random.default_rng(0).integers(0, 2, len(copied))

results = mk.evaluate(train=train, holdout=holdout, synthetic=copied, metrics=["copies", "authenticity"])
for metric in results.metrics:
    print(metric.title, metric.value, "beside", metric.reference)
assert results["authenticity"].value < results["authenticity"].reference
