"""Linked and longitudinal patients: events in order, one summary row a patient, and the metrics and attacks that read them."""
