"""The kernel: clock, identifiers, database, bus, feeds, access, words. It has never heard of a call or of a customer."""
