"""A tracking server that can be stopped, and a proxy before one that loses requests and answers."""

import http.client
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server:
    """A real ``mlflow server`` in a folder.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    port : int
        Of this machine alone.
    backend : str, optional
        URI of its database; by default a SQLite file in the folder.
    workers : int
        Its processes.
    """

    def __init__(self, folder, port, backend=None, workers=1):
        self._folder, self._port, self._workers = folder, port, workers
        self._backend = backend or f"sqlite:///{folder}/server.db"
        self.address = f"http://127.0.0.1:{port}"
        self._process = None

    def start(self):
        """Start it, and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self._port)]
        words += ["--workers", str(self._workers), "--backend-store-uri", self._backend]
        words += ["--artifacts-destination", str(self._folder / "store")]
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PATH": path},
            )
        for _ in range(480):
            assert self._process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.5)
        raise AssertionError(log.read_text())

    @property
    def pid(self):
        """Of the process that all others come from."""
        return self._process.pid

    def stop(self):
        """Kill it without warning."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait(30)


class Proxy:
    """Passes requests on to a server, or not.

    Attributes
    ----------
    mode : str
        ``through``; ``half``, of which every second request is answered with 500, before or after it was
        passed on; or ``hang``, without any answer.
    delay : float
        Seconds that each request takes longer.
    failed : int
        Requests that were answered with 500.
    """

    def __init__(self, upstream, seed=0):
        self.mode, self.failed, self.delay = "through", 0, 0.0
        self._upstream = upstream.removeprefix("http://")
        self._random = random.Random(seed)
        self._waiting = threading.Event()

    @contextmanager
    def listening(self):
        """Listen until the block ends; gives the address."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *words):
                pass

            def answer(self):
                proxy.pass_on(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self._waiting.set()
            server.shutdown()
            server.server_close()

    def pass_on(self, request):
        """Carry out a request."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self._waiting.wait(self.delay)
        if self.mode == "hang":
            self._waiting.wait(60)
            return
        fault = self._random.choice(["before", "after", None, None]) if self.mode == "half" else None
        status, headers, content = 500, {}, b'{"error_code": "INTERNAL_ERROR", "message": "out of order"}'
        if fault != "before":
            upstream = http.client.HTTPConnection(self._upstream, timeout=60)
            upstream.request(request.command, request.path, body, dict(request.headers))
            answer = upstream.getresponse()
            text = answer.read()
            if fault is None:
                status, headers, content = (
                    answer.status,
                    {"Content-Type": answer.getheader("Content-Type")},
                    text,
                )
            upstream.close()
        self.failed += fault is not None
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
