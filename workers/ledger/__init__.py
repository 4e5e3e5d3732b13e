"""The system of record: its protocol and its adapters."""
