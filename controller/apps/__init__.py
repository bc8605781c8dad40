"""Applications: each reads one kind of dataset, extracts parts and combines products."""
