"""Evaluate how well each model predicts answers, by the protocol of `docs/evaluation.md`."""
