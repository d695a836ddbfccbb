"""Mechanistic simulation: nothing here is fitted, and nothing comes from a patient."""
