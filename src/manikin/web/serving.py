"""Serves a room on this computer until it is stopped. Knows ports and sockets, no page."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from manikin.data.errors import MissingExtraError, ParameterError
from manikin.web.app import application
from manikin.workflow.reading.room import Room

HOST, PORT = "127.0.0.1", 8484
MOST_CONNECTIONS = 200


def serve(room: Room, *, host: str = HOST, port: int = PORT, ready: Callable[[str], None] = lambda _url: None) -> None:
    """Serves until Ctrl-C, SIGTERM or `KeyboardInterrupt`; the room is closed then.

    Parameters
    ----------
    host : the address of one of this computer's interfaces. Others than this computer's own (127.0.0.1, ::1) open the page to the network,
        unencrypted. port : 0 takes any free one; the usual one, where it is taken, too.
    ready : called with the page's address once it can be opened.

    Raises
    ------
    ParameterError : an address that is none, or all of them; a port that is taken. MissingExtraError : uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError:
        room.close()
        raise MissingExtraError("The page for readers needs an extra: pip install 'manikin[web]'.") from None

    try:
        listener = bound(host, port)
    except ParameterError:
        room.close()
        raise
    try:
        number = listener.getsockname()[1]
        hosts = hosts_of(host, number)
        config = uvicorn.Config(
            application(room, hosts=hosts),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server: Any = uvicorn.Server(config)
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{number}/{room.access}/")
        with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has stopped in peace
            server.run(sockets=[listener])
    finally:
        listener.close()
        room.close()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on one address.

    Raises
    ------
    ParameterError : see `serve`.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ParameterError(f"--host takes an IP address, such as 127.0.0.1, not {host!r}.") from None
    if address.is_unspecified:
        raise ParameterError("--host must name one address, not all of them. Give that of the interface that readers reach.")
    if not 0 <= port <= 65535:
        raise ParameterError(f"--port is a number from 0 to 65535, not {port}.")
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for wanted in dict.fromkeys((port, 0) if port == PORT else (port,)):
        try:
            listener.bind((str(address), wanted))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port == PORT and wanted == PORT:
                continue
            listener.close()
            reason = "is taken" if error.errno == errno.EADDRINUSE else "cannot be used"
            raise ParameterError(f"{host}, port {wanted}, {reason} on this computer. Choose another --host or --port.") from None
        listener.listen(64)
        return listener
    raise AssertionError("a free port is always found or refused")


def hosts_of(host: str, port: int) -> set[str]:
    """What the Host of a request may be."""
    names = {f"[{host}]" if ":" in host else host}
    if ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback:
        names |= {"localhost", "127.0.0.1"} if ":" not in host else {"localhost"}
    return {f"{name}:{port}" for name in names}


def is_local(host: str) -> bool:
    """Whether only this computer reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
