"""What a person writes in YAML: read whole, every fault at once with its line."""
