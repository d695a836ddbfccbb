"""A PostgreSQL server of the tests' own, where the machine has its programs: in a temporary folder, with a socket and no port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="databases need manikin[records]")


def programs() -> Path | None:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").is_dir() else []
    return places[-1].parent if places else None


def other_user() -> str | None:
    """Who runs the server where we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The socket's folder of a running server."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL's programs are not here (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="PostgreSQL needs manikin[records]")
    user = other_user()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user is not None:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        environment = {**os.environ, "HOME": str(folder)}
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)
        if done.returncode:
            pytest.skip(f"PostgreSQL does not start here: {done.stderr.strip()[:200]}")

    data = str(folder / "data")
    try:
        run(str(where / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"
        run(str(where / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield str(folder)
        finally:
            run(str(where / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server: str) -> Iterator[str]:
    """The URL of an empty database, with a password that must never be seen."""
    import psycopg

    name = f"ward_{os.urandom(4).hex()}"
    with psycopg.connect(host=server, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield f"postgresql://postgres:s3cret@/{name}?host={server}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
