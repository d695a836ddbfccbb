"""Patient-level differential privacy: what was done (events), what it costs (accountant), what was spent (ledger), and the noise itself.

Noise is drawn in `mechanisms` and `dpsgd` and nowhere else; nobody outside this package can look into what `sealed` holds.
"""
