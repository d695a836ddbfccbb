"""Generators of linked and longitudinal patients, one file each."""
