"""Files of a run directory: states, saved settings, provenance, logs."""
