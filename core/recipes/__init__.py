"""What to do to a model: recipe steps as typed schemas, presets, and the check that they compose."""
