"""A server of files on this machine that breaks off, lies and fails when it is told to."""

import contextlib
import dataclasses
import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclasses.dataclass
class Served:
    """A file, how it is served, and what was asked for.

    Each answer takes the first of ``statuses`` (instead of the file) and of ``cuts`` (bytes after
    which the connection breaks off), while there are any. Parts begin ``shift`` bytes after where
    they should. What was ``asked`` for is a Range each, with its ``conditions`` of If-Range; of
    what was ``sent``, bytes are counted for each answer.
    """

    data: bytes
    version: str | None = '"one"'
    ranges: bool = True
    heed_version: bool = True
    shift: int = 0
    compress: bool = False
    announced: int | None = None
    length: bool = True
    pause: float = 0.0
    statuses: list[int] = dataclasses.field(default_factory=list)
    cuts: list[int] = dataclasses.field(default_factory=list)
    location: str | None = None
    asked: list[str | None] = dataclasses.field(default_factory=list)
    conditions: list[str | None] = dataclasses.field(default_factory=list)
    sent: list[int] = dataclasses.field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, Served]

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.close_connection = True
        file = self.files.get(self.path.removeprefix("/"))
        if file is None:
            self.send_error(404)
            return
        file.asked.append(self.headers.get("Range"))
        file.conditions.append(self.headers.get("If-Range"))
        if file.statuses:
            self.send_error(file.statuses.pop(0))
        elif file.location:
            self.send_response(302)
            self.send_header("Location", file.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(file)

    def answer(self, file):
        begin = self.begin(file)
        if begin and begin >= len(file.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(file.data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = file.data[begin:]
        compressed = file.compress and "gzip" in self.headers.get("Accept-Encoding", "")
        if compressed:
            body = gzip.compress(body)
        self.send_response(206 if begin else 200)
        if begin:
            last, size = len(file.data) - 1, len(file.data)
            self.send_header("Content-Range", f"bytes {begin}-{last}/{size}")
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        if file.version:
            self.send_header("ETag", file.version)
        if file.length:
            self.send_header("Content-Length", str(file.announced or len(body)))
        self.end_headers()
        self.send(file, body[: file.cuts.pop(0)] if file.cuts else body)

    def begin(self, file):
        asked, version = self.headers.get("Range"), self.headers.get("If-Range")
        if not file.ranges or not asked:
            return 0
        if file.heed_version and version not in (None, file.version):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-")) + file.shift

    def send(self, file, body):
        number = len(file.sent)
        file.sent.append(0)
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(body), 2**16):
                chunk = body[start : start + 2**16]
                self.wfile.write(chunk)
                file.sent[number] += len(chunk)
                time.sleep(file.pause)


@contextlib.contextmanager
def serving(files):
    """Serve files by their names; gives the address before the name."""
    handler = type("Handler", (_Handler,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
