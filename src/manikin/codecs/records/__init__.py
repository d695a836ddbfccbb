"""Linked patients <-> the fields of a patient and her events."""
