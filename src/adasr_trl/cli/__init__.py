"""Command line: one module a command, nothing heavy loaded before it is needed."""
