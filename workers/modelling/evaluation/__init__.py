"""How well each model predicts answers: the protocol of `docs/evaluation.md`."""
