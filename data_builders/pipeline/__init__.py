"""Build of a data set: parts, manifest, quality control."""
