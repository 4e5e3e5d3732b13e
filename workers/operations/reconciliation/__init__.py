"""Making others agree with the ledger again: the graph, and those who lost events."""
