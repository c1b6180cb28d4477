"""Commands beside the build: teacher traces, quality report."""
