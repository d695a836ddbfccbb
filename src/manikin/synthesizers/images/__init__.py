"""Generators of images with their labels, one file for each."""
