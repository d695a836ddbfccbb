"""People read images one by one and answer: the form, who reads in which order, every answer on disk before it is acknowledged."""
