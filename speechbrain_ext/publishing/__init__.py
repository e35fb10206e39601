"""From a results folder to a model on the hub that others load."""
