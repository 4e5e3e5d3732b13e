"""Import past answers: read CSV files, convert them to events and publish these."""
