"""A Redis server of our own: private folder, free port, killed and started again as a test likes."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.peers.need import free_port, leash, missing, program


class RedisServer:
    """Starts when made. With `durable` what was written survives a kill; without, a restart is empty."""

    def __init__(self, durable: bool = False) -> None:
        found = program("redis-server")
        if found is None:
            missing("Redis", "redis-server")
        self._program = found
        self._durable = durable
        self._folder = tempfile.TemporaryDirectory(prefix="lingxi-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = (Path(self._folder.name) / "log").open("ab")
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": self._folder.name,
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always" if self._durable else "no",
        }
        words = [word for name, value in options.items() for word in ("--" + name, value)]
        self._process = subprocess.Popen([*leash(), str(self._program), *words], stdout=log, stderr=log)
        log.close()
        self._wait()

    def kill(self) -> None:
        """As if the power went."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As an administrator would."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """It holds its connections and answers nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        self._folder.cleanup()

    def say(self, *words: str) -> bytes:
        """One command, its raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as line:
            line.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            return line.recv(65536)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    def _wait(self) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                if self.say("PING") == b"+PONG\r\n":
                    return
            except OSError:
                pass
            if not self.running:
                break
            time.sleep(0.02)
        raise RuntimeError("redis-server did not start:\n" + (Path(self._folder.name) / "log").read_text()[-2000:])
