"""The business's own rows: organisation and people. Declarations only; what is done with them lives in the services."""
