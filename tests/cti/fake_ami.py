"""A manager server of our own for what a real PBX can't be made to do: floods, a hard write time-out, odd bytes. Runs in a thread.

It logs anybody in, answers CoreStatus and Ping, and says what it is told to say. Like Asterisk it drops a client that takes
nothing for `write_timeout_s`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from cti.pbx.asterisk.commander import NEEDED


class FakeAmi:
    """One server, one client at a time. `dropped` counts clients that were too slow; `sent` the events said so far."""

    def __init__(self, *, write_timeout_s: float = 0.1, boot: str = "2026-11-22 01:02:03") -> None:
        self._write_timeout_s = write_timeout_s
        self.boot = boot.split(" ")
        self.dropped = 0
        self.sent = 0
        self.logins = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._client: socket.socket | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, data: bytes) -> None:
        """Send these bytes to the client as they are."""
        with self._lock:
            if self._client is None:
                return
            try:
                self._client.settimeout(self._write_timeout_s)
                self._client.sendall(data)
            except TimeoutError:
                self.dropped += 1
                self._client.close()
                self._client = None

    def flood(self, seconds: float, per_second: int) -> None:
        """Say complete little calls, `per_second` events a second, for so long; blocks the caller."""
        until, tick = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < until:
            self.say(b"".join(_abandoned(self.sent + number) for number in range(0, per_second // 20, 4)))
            self.sent += (per_second // 20 + 3) // 4 * 4
            tick += 0.05
            time.sleep(max(0.0, tick - time.monotonic()))

    def stop(self) -> None:
        self._server.close()
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                client.sendall(b"Asterisk Call Manager/11.0.0\r\n")
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while True:
                try:
                    data = client.recv(65_536)
                except TimeoutError:  # the limit is meant for what we send
                    continue
                if not data:
                    return
                *actions, rest = (rest + data).split(b"\r\n\r\n")
                for action in actions:
                    self._take(client, dict(line.split(b": ", 1) for line in action.split(b"\r\n") if b": " in line))

    def _take(self, client: socket.socket, action: dict[bytes, bytes]) -> None:
        name, said = action[b"Action"], b"Response: Success\r\nActionID: " + action.get(b"ActionID", b"") + b"\r\n"
        if name == b"CoreStatus":
            said += f"CoreStartupDate: {self.boot[0]}\r\nCoreStartupTime: {self.boot[1]}\r\n".encode()
        elif name == b"ListCommands":
            said += "".join(f"{command}: yes\r\n" for command in sorted(NEEDED)).encode()
        elif name == b"Ping":
            said += b"Ping: Pong\r\nTimestamp: %.6f\r\n" % time.time()
        said += b"\r\n"
        if name == b"Login" and action.get(b"Events") != b"off":
            self.logins += 1
            said += b"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 1\r\n\r\n"
        with self._lock, contextlib.suppress(OSError):
            client.settimeout(self._write_timeout_s)
            client.sendall(said)
            if name == b"Login" and action.get(b"Events") != b"off":
                self._client = client


def _abandoned(number: int) -> bytes:
    """A caller who comes, waits and goes: four events."""
    leg = f"fake-{number}"
    head = f"Privilege: call,all\r\nTimestamp: {time.time():.6f}\r\n"
    who = "CallerIDNum: 139\r\nCallerIDName: x\r\nExten: 8001\r\n"
    channel = f"Channel: PJSIP/carrier-{number:08x}\r\nChannelState: 4\r\n{who}Uniqueid: {leg}\r\nLinkedid: {leg}\r\n"
    events = (
        ("Newchannel", ""),
        ("QueueCallerJoin", "Queue: support\r\nPosition: 1\r\nCount: 1\r\n"),
        ("HangupRequest", ""),
        ("Hangup", "Cause: 16\r\n"),
    )
    return "".join(f"Event: {name}\r\n{head}{channel}{rest}\r\n" for name, rest in events).encode()
