"""Settings of a run: typed sections, read from YAML and the command line, checked without torch."""
