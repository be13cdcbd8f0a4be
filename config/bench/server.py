"""A PostgreSQL of the bench's own: its cluster lies in the bench's folder and is kept, the server runs only while it is measured.

As root it runs as another user, since PostgreSQL refuses root; where no server is installed there is none, which is said by None.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

from config.bench.product import free_port

_FOLDERS: Final = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
_ALWAYS: Final = {"listen_addresses": "127.0.0.1", "timezone": "UTC"}
QUICK_TO_FILL: Final = {"fsync": "off", "shared_buffers": "256MB", "max_wal_size": "4GB"}
"""For what is made once and only read from then on; nothing in it would survive a loss of power."""


class Server:
    """A running server."""

    def __init__(self, folder: Path, port: int, command: list[str]) -> None:
        self._folder, self.port, self._command = folder, port, command
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)  # noqa: S603 - our own words

    @classmethod
    def start(cls, folder: Path, **settings: str) -> Self | None:
        """Start it, making the cluster if there is none, with its defaults but for `settings`; None where PostgreSQL is not installed."""
        programs = _programs()
        if programs is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        user = _other_user()
        if user is not None and not all(one.stat().st_mode & 0o001 for one in folder.resolve().parents):
            folder = Path(tempfile.mkdtemp(prefix="lingxi-bench-"))  # the other user may not come to where the data shall lie
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        if not (folder / "data" / "PG_VERSION").exists():
            words = [
                str(programs / "initdb"),
                "-D",
                str(folder / "data"),
                "-U",
                "lingxi",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--auth=trust",
            ]
            subprocess.run(_as(user, words), check=True, capture_output=True, cwd=folder)  # noqa: S603 - our own words
        port = free_port()
        settings = {**_ALWAYS, **settings, "port": str(port), "unix_socket_directories": str(folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return cls(folder, port, _as(user, [str(programs / "postgres"), "-D", str(folder / "data"), *options]))

    def url(self, database: str, driver: str = "") -> str:
        """Its address."""
        return f"postgresql{driver}://lingxi@127.0.0.1:{self.port}/{database}"

    async def until_up(self) -> None:
        """Wait until it answers."""
        import asyncpg

        for _ in range(300):
            try:
                connection = await asyncpg.connect(self.url("postgres"))
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)
            else:
                await connection.close()
                return
        raise RuntimeError("PostgreSQL did not start; see " + str(self._folder / "log"))

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def start_again(self) -> None:
        """Start it as it was, at the same address."""
        self._process = self._begin()


def _programs() -> Path | None:
    found = shutil.which("postgres")
    if found:
        return Path(found).parent
    folders = [path for pattern in _FOLDERS for path in sorted(Path("/").glob(pattern)) if (path / "postgres").exists()]
    return folders[-1] if folders else None


def _other_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as(user: pwd.struct_passwd | None, words: list[str]) -> list[str]:
    if user is None:
        return words
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *words]
