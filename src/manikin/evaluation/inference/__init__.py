"""Would the same regression on the synthetic table lead to the same conclusion? Formulas, designs, models, combining rules, agreement."""
