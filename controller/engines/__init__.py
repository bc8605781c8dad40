"""Engines: they carry parts to workers and bring receipts back; what runs is decided elsewhere."""
