"""What telephony does: services that listen to events, write the books and give commands. I/O lives here, rules in the domain."""
