"""Models and tokenizers: loading, adapters, quantisation, Hub files."""
