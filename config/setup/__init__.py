"""Set-up: what `make` runs before the program can run. Nothing here is imported by the running program but `ports`."""
