"""Evaluate how well models predict answers, by the protocol of `docs/evaluation.md`."""
