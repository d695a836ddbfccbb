"""Parts of `benchmarks/translation.py`."""
