"""Build of a data set: episodes from drafts, quality control, files, manifest."""
