"""A web server of Python's standard library, in HTTP/1.1 or in HTTP/1.0, where an answer without a length ends with its connection.

usage: http_server.py PORT HTTP/1.1|HTTP/1.0 FOLDER
"""

import functools
import http.server
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass

    def do_POST(self):
        body = b"".join(self.body())
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        if self.protocol_version == "HTTP/1.1":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


port, Handler.protocol_version, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=folder)).serve_forever()
