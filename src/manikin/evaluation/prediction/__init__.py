"""Models that learn from one table and are asked about another: what is predicted, who learns, how answers are scored. Knows no metric."""
