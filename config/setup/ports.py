"""Whether a port can be listened on, and if not, who has it and what to do.

One sentence for the person who started us, in the language of their terminal.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from config.tongue import told


def complaint(host: str, port: int, option: str = "LINGXI_WEB__PORT") -> str:
    """ "" where `host`:`port` is free.

    Else a sentence with the way out. `option` is the setting that moves us elsewhere.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            return _sentence(failure, host, port, option)
    return ""


def _sentence(failure: OSError, host: str, port: int, option: str) -> str:
    if failure.errno == errno.EACCES:
        return told(
            "This user may not listen on port {port}. Take one from 1024 up: {line}", port=port, line=f"{option}=8600 make run"
        )
    if failure.errno == errno.EADDRNOTAVAIL:
        return told("This machine has no address {host}. Listen on 127.0.0.1, or on 0.0.0.0 for all of its own.", host=host)
    line = f"{option}={port + 1} make run"
    if failure.errno != errno.EADDRINUSE:
        why = failure.strerror
        return told(
            "Port {port} on {host} can't be listened on: {why}. Take another: {line}", port=port, host=host, why=why, line=line
        )
    if holder := _holder(port):
        return told("Port {port} is in use by {holder}. Stop that, or take another: {line}", port=port, holder=holder, line=line)
    return told("Port {port} is in use. Stop what has it, or take another: {line}", port=port, line=line)


def _holder(port: int) -> str:
    """Name and process id of who listens on the port, "" where it can't be seen (another user's process)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{words[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) in inodes for entry in (process / "fd").iterdir()):
                return told("{name} (process {id})", name=(process / "comm").read_text().strip(), id=process.name)
        except OSError:
            continue
    return ""
