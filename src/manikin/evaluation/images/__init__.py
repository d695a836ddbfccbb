"""Judging images: what they look like, what they are good for, and whom they could expose. Knows no generator and no file format."""
