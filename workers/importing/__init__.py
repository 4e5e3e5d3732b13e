"""Import past answers: read CSV files, make events of them and publish these."""
