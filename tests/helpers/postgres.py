"""Debian's PostgreSQL for tests: a server of its own on loopback, in a folder that vanishes with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

USER, PASSWORD = "bench", "s3cret/p@ss"


def _programs():
    """The newest version's folder of programs, or None."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(4)
    )
    return folders[-1].parent if folders else None


def free_port():
    """Return a port that no connection gets by chance: it must still be free when the server starts anew."""
    for port in range(15_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return pytest.fail("there is no free port")


class Server:
    """A PostgreSQL server; `databases` are made when they are first asked for.

    `settings` are words of its configuration, instead of those that suit a test.
    """

    def __init__(self, folder, programs, account, **settings):
        self._folder, self._programs, self._account = folder, programs, account
        self.port = free_port()
        self._settings = settings
        self._process = None
        self._made = set()
        (folder / "password").write_text(PASSWORD)
        if account:
            for path in (folder, folder / "password"):
                shutil.chown(path, account, account)
        words = ["--pgdata", folder / "data", "--username", USER, "--pwfile", folder / "password"]
        words += ["--auth", "scram-sha-256", "--locale", "C", "--encoding", "UTF8", "--no-sync"]
        self._run("initdb", *words)

    def _command(self, program, *words):
        return [str(word) for word in (self._programs / program, *words)]

    @property
    def _identity(self):
        """PostgreSQL refuses to run as root."""
        account = self._account
        return {"user": account, "group": account, "extra_groups": []} if account else {}

    def _run(self, program, *words):
        done = subprocess.run(
            self._command(program, *words),
            **self._identity,
            cwd=self._folder,
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, "PGPASSWORD": PASSWORD},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def pid(self):
        """Of the process that all others come from."""
        return self._process.pid

    def start(self):
        """Start it and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 40,
            **self._settings,
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", self._folder / "data", *words),
                **self._identity,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.ask("SELECT 1")
                return
            except AssertionError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.2)
        pytest.fail((self._folder / "log").read_text())

    def stop(self, number=signal.SIGINT):
        """Stop it: at once, but in order (SIGINT), or as if it had crashed (SIGQUIT)."""
        self._process.send_signal(number)
        self._process.wait(60)

    def ask(self, words, database="postgres"):
        """Return what psql prints."""
        where = ["-h", "127.0.0.1", "-p", self.port, "-U", USER, "-d", database]
        return self._run("psql", "-XAt", *where, "-c", words).strip()

    def url(self, database, scheme="postgresql", credentials=True):
        """Return the URL of a database, which is made where it is missing."""
        if database not in self._made:
            self.ask(f'CREATE DATABASE "{database}"')
            self._made.add(database)
        who = f"{USER}:s3cret%2Fp%40ss" if credentials else USER
        return f"{scheme}://{who}@127.0.0.1:{self.port}/{database}"


@contextmanager
def running(**settings):
    """Run a server until the block ends, or skip the test where there is none to run."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="its driver is not installed: pip install textbench[postgres]")
    # Below the folder of temporary files itself: the folders of pytest are closed to the server's account.
    folder = Path(tempfile.mkdtemp(prefix="textbench-postgres-"))
    server = None
    try:
        server = Server(folder, programs, "postgres" if os.geteuid() == 0 else None, **settings)
        server.start()
        yield server
    finally:
        if server is not None and server._process is not None and server._process.poll() is None:
            server.stop()
        shutil.rmtree(folder)
