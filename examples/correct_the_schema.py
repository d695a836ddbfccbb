"""What was inferred, corrected by a person: a role, a rule that always holds, levels that are public knowledge."""

from dataclasses import replace

from lifelines.datasets import load_gbsg2

import manikin as mk
from manikin.data.schema import Source, Sources

frame = load_gbsg2().head(300)
schema = mk.infer(frame)
table = schema.only
grade = table["tgrade"]
table = table.replace_column(replace(grade, kind=mk.Kind.ORDINAL, levels=("I", "II", "III"), source=Sources(levels=Source.DECLARED)))
table = table.replace_column(replace(table["cens"], roles=(mk.Role.EVENT, mk.Role.TARGET)))
mk.write_schema(mk.Schema((table,)), "schema.toml")

patients = mk.read(frame, schema="schema.toml")
assert patients.columns["tgrade"].kind is mk.Kind.ORDINAL
assert patients.columns["tgrade"].has_public_levels
synthetic = mk.synthesizer("forest").fit(patients, seed=0).sample(200, seed=0)
print(synthetic.to_pandas()["tgrade"].value_counts())
