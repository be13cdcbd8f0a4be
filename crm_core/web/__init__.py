"""The web floor that all consoles stand on: requests, sessions, pages, the API's registry, the socket. It knows no call."""
