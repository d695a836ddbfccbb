"""The judge's scores, one file per family. Imports nothing of manikin: it is the second opinion on our metrics."""
