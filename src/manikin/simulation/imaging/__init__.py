"""Imaging physics: phantoms with known truth, and what scanners and cameras make of them. Nothing is fitted."""
