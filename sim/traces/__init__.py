"""Traces: what came from outside, from journals, other systems' logs, tables and archives."""
