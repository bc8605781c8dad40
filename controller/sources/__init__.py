"""Where updates come from: each source tells what changed in a dataset, once."""
