"""Measures what docs/reference/performance.md states."""
