"""The second opinion on linked patients, one file per family of scores. Imports nothing of manikin."""
