"""`python -m manikin.cli`, the same as `manikin`."""

from manikin.cli import main

main()
