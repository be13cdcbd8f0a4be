"""Real servers that tests start, kill and start again.

PostgreSQL and Redis. No fakes; and no server of the machine is touched.
"""
