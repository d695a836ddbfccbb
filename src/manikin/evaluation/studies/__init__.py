"""Studies: what a release, or rows added to real ones, do for a downstream model, over repeated splits. Knows no synthesizer by name."""
