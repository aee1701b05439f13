"""What the worker of one side does: serve rounds of requests through a whole WSGI application, in this process, and time them."""

from __future__ import annotations

import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command

Request = dict[str, Any]
Maker = Callable[[int], list[Request]]


def environ(path: str, body: bytes, content_type: str, authorization: str = "") -> Request:
    """Return a WSGI environment as a server makes one, with what a proxy adds."""
    request = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "application/json",
        "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_USER_AGENT": "benchmark",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    return {**request, "HTTP_AUTHORIZATION": authorization} if authorization else request


def answer_rounds(side: str, make: Callable[[], Maker], per_round: int, *, status: str) -> None:
    """Set the project up, then measure a round for each line on standard input; every answer must have `status`.

    Each round prints the processor seconds and the wall seconds of one request.
    """
    warnings.simplefilter("ignore")  # there are no static files here
    django.setup()
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", interactive=False, verbosity=0)
    application = get_wsgi_application()
    statuses: list[str] = []

    def serve(request: Request) -> None:
        response = application(request, lambda status, headers: statuses.append(status))
        b"".join(response)
        response.close()

    requests = make()
    for request in requests(30):
        serve(request)
    print("ready", flush=True)
    for _ in sys.stdin:
        batch = requests(per_round)
        serve(batch[0])
        statuses.clear()
        processor, wall = time.process_time(), time.perf_counter()
        for request in batch[1:]:
            serve(request)
        spent = [(time.process_time() - processor) / (per_round - 1), (time.perf_counter() - wall) / (per_round - 1)]
        if set(statuses) != {status}:
            sys.exit(f"{side}: {set(statuses)}")
        print(json.dumps(spent), flush=True)
