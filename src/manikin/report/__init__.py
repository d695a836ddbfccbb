"""The report: measured results become blocks (`sections`), blocks become one page (`render`). It imports no metric."""
