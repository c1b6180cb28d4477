"""Speech to words and back: streaming recognition, voices."""
