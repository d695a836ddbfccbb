"""The only place where everything is put together: read, split, fit, sample, evaluate, decide, report. Knows no model and no format.

Each module is one job of the command line (`synthesize`, `learn`, `draw`, `complete`, `judge`, `demo`, `look`) or one thing that jobs
share (`sources`, `auto`, `output`, `stages`, `threads`). Importing this package imports none of them.
"""
