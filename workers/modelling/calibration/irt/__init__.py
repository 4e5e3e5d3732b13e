"""Item response theory: items calibrated by marginal maximum likelihood, abilities from them."""
