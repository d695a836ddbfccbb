"""One model, three uses: sub-groups, partially synthetic records, imputation."""

from lifelines.datasets import load_gbsg2

import manikin as mk

frame = load_gbsg2().head(300)
frame["tsize"] = frame["tsize"].astype("Int64").mask(frame.index % 7 == 0)
patients = mk.read(frame)
model = mk.synthesizer("forest").fit(patients, seed=0)

young = model.sample(20, seed=0, conditions={"menostat": "Pre"}).to_pandas()
assert (young["menostat"] == "Pre").all()

partly = mk.complete(model, patients, keep=["age", "menostat"], seed=0).to_pandas()
assert (partly["age"] == frame["age"]).all()

filled = mk.complete(model, patients, seed=0).to_pandas()
assert filled["tsize"].notna().all()
print(f"{frame['tsize'].isna().sum()} tumour sizes were filled in, the other cells are as they were")
