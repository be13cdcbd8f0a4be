"""The business unit's own affairs: its dictionary, roles and rights, people, and who was here and did what."""
