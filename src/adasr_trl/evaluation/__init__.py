"""Evaluation on unseen questions: plan, records, clocks, outcomes, summaries, tables."""
