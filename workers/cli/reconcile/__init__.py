"""`mastery reconcile`: repair graph and events from the ledger."""
