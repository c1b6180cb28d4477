"""Traces: thoughts aligned with chunks, and facts stated before they are read."""
