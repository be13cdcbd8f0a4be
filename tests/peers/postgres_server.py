"""A PostgreSQL cluster of our own: private folder, free port, killed and started again as a test likes.

PostgreSQL refuses to run as root, so as root it runs as `postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.peers.need import free_port, leash, missing, program

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # a killed process loses nothing by it; only a killed machine would
    "shared_buffers": "64MB",
    "max_connections": "100",
    "timezone": "UTC",
    "autovacuum": "on",
}


def _find(name: str) -> Path:
    found = program(name, *_FOLDERS)
    if found is None:
        missing("PostgreSQL", "postgresql")
    return found


def _other_user() -> pwd.struct_passwd | None:
    """Whom to run as; None: as we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


class PostgresServer:
    """Starts when made. What was committed survives `kill`."""

    def __init__(self) -> None:
        self._postgres, self._initdb, self._psql = (_find(name) for name in ("postgres", "initdb", "psql"))
        self._user = _other_user()
        self._folder = Path(tempfile.mkdtemp(prefix="lingxi-postgres-"))
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = free_port()
        self._init()
        self.start()

    def url(self, database: str) -> str:
        """For SQLAlchemy."""
        return f"postgresql+asyncpg://lingxi@127.0.0.1:{self.port}/{database}"

    def make_database(self) -> str:
        """A new, empty database; its name."""
        self._made += 1
        name = f"test_{self._made}"
        self.run_sql("postgres", f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        self.run_sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run_sql(self, database: str, sql: str) -> str:
        """Run one statement as the owner of everything; what psql prints, without headings."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "lingxi", "-d", database]
        done = subprocess.run([self._psql, *address, "-XAtqc", sql], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers; after a kill, until the last of its former processes has let go of their memory."""
        for _ in range(20):
            try:
                self._launch()
            except RuntimeError as failure:
                if "still in use" not in str(failure):
                    raise
                time.sleep(0.25)
            else:
                return
        self._launch()

    def _launch(self) -> None:
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_other([str(self._postgres), "-D", str(self._folder / "data"), *options], leash()),
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        self._wait()

    def kill(self) -> None:
        """As if the power went: the server and all that serve its connections."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        """As an administrator in a hurry would: connections are cut, everything is written."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _init(self) -> None:
        words = [str(self._initdb), "-D", str(self._folder / "data"), "-U", "lingxi", "-E", "UTF8", "--locale=C.UTF-8"]
        words += ["--auth=trust", "--no-sync"]
        done = subprocess.run(self._as_other(words), capture_output=True, text=True, cwd=self._folder, timeout=60)
        if done.returncode:
            raise RuntimeError("initdb failed: " + done.stderr)

    def _as_other(self, words: list[str], before: list[str] | None = None) -> list[str]:
        """The command, run as the unprivileged user where we are root."""
        if self._user is None:
            return [*(before or []), *words]
        change = [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
        return [*(before or ["setpriv"]), *change, *words]

    def _wait(self) -> None:
        until = time.monotonic() + 30
        why = ""
        while time.monotonic() < until and self.running:
            try:
                self.run_sql("postgres", "SELECT 1")
                return
            except (RuntimeError, subprocess.TimeoutExpired) as failure:
                why = str(failure)
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {why}\n" + (self._folder / "log").read_text()[-2000:])
