"""The page without a browser: what is refused, what headers say, that images differ in nothing but pixels."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from manikin.data.errors import DataError, InputError, ParameterError
from manikin.web.app import MOST_BODY, application
from manikin.web.serving import bound, hosts_of
from manikin.workflow.reading.room import NotFoundError, Room
from manikin.workflow.turing import answers, begin, order_of

HOST = "127.0.0.1:8484"


@pytest.fixture
def room(sets: tuple[Path, Path], tmp_path: Path) -> Iterator[Room]:
    begun = begin(tmp_path / "test", real=sets[0], synthetic=sets[1], images=12, repeats=0.5, seed=3)
    yield begun.room
    begun.room.close()


@pytest.fixture
def client(room: Room) -> TestClient:
    return TestClient(application(room, hosts={HOST}), base_url=f"http://{HOST}")


def at(room: Room, path: str) -> str:
    return f"/{room.access}/{path}"


def joined(client: TestClient, room: Room, name: str = "anna") -> dict[str, Any]:
    return client.post(at(room, "join"), json={"name": name, "role": "resident"}).json()


def read_all(client: TestClient, room: Room, name: str) -> list[tuple[Any, bytes]]:
    """Every image that a reader is shown: headers, body."""
    state, seen = joined(client, room, name), []
    key = state["reader"]
    while state["image"]:
        answer = client.get(at(room, f"image/{state['image']}"))
        assert answer.status_code == 200
        seen.append((sorted(answer.headers.items()), answer.content))
        given = {"reader": key, "position": state["position"], "answer": "real", "seconds": 1.5}
        assert client.post(at(room, "answer"), json=given).json() == {"stored": True}
        state = client.post(at(room, "detail"), json={"reader": key, "position": state["position"], "confidence": 3}).json()
    return seen


def test_images_differ_in_nothing_but_pixels(client: TestClient, room: Room) -> None:
    seen = read_all(client, room, "anna")
    assert len(seen) == 18
    assert len({json.dumps(headers) for headers, _ in seen}) == 1, "the same headers for every image"
    assert len({len(body) for _, body in seen}) == 1, "real JPEG of 40 pixels, synthetic PNG of 32: one length"
    assert len({body for _, body in seen}) == 12
    for _, body in seen:
        chunks = {body[i + 4 : i + 8] for i in range(8, len(body)) if body[i + 4 : i + 8] in (b"tEXt", b"eXIf", b"tIME", b"pHYs", b"iTXt")}
        assert not chunks
        image = Image.open(io.BytesIO(body))
        assert (image.size, image.mode, image.info) == ((32, 32), "L", {})
    headers = dict(seen[0][0])
    assert headers["cache-control"] == "no-store"
    assert not {"etag", "last-modified", "server", "content-disposition"} & set(headers)
    assert "default-src 'none'" in headers["content-security-policy"]


def test_order_tokens_and_numbers_tell_nothing(client: TestClient, room: Room, sets: tuple[Path, Path]) -> None:
    document, _ = answers(room.folder)
    kinds = [image["kind"] for image in document["images"]]
    assert kinds.count("real") == kinds.count("synthetic") == 6
    assert sorted(kinds) != kinds, "numbers on disk are drawn at random"
    assert sorted(image["label"] for image in document["images"]) == ["ill"] * 6 + ["well"] * 6, "both labels equally often"
    orders = {name: order_of(document, name) for name in ("anna", "ben", "carla")}
    assert len({tuple(order) for order in orders.values()}) == 3
    for order in orders.values():
        assert len(order) == 18
        twice = [i for i in set(order) if order.count(i) == 2]
        assert sum(kinds[i] == "real" for i in twice) == 3
        assert all(len(order) - 1 - order[::-1].index(i) - order.index(i) >= 6 for i in twice)
    tokens = []
    for name in orders:
        state = joined(client, room, name)
        assert set(state) == {"reader", "position", "total", "image"}
        tokens += [state["image"], state["reader"]]
    assert len(set(tokens)) == 6
    assert all(len(token) >= 24 and int(token, 16) >= 0 for token in tokens)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/0000000000000000000000/", 404),
        ("GET", "/{}/image/../../turing.json", 404),
        ("GET", "/{}/image/%2e%2e%2fsecret", 404),
        ("GET", "/{}/image/000000.png", 404),
        ("GET", "/{}/answers.jsonl", 404),
        ("GET", "/{}/page.css/x", 404),
        ("POST", "/{}/", 405),
        ("GET", "/{}/join", 405),
        ("GET", "/{}/" + "a" * 500, 414),
    ],
)
def test_what_is_not_there(client: TestClient, room: Room, method: str, path: str, status: int) -> None:
    answer = client.request(method, path.replace("{}", room.access))
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert room.folder.name not in answer.text


def test_requests_of_other_sites_are_refused(client: TestClient, room: Room) -> None:
    body = {"name": "anna", "role": "other"}
    assert client.get(at(room, ""), headers={"host": "evil.example"}).status_code == 421
    assert client.post(at(room, "join"), json=body, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post(at(room, "join"), json=body, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post(at(room, "join"), data=body).status_code == 400, "a form of another page sends no JSON"
    assert client.post(at(room, "join"), json=body, headers={"origin": f"http://{HOST}"}).status_code == 200
    assert client.get(f"/{room.access}", follow_redirects=False).headers["location"] == f"/{room.access}/"
    assert client.get(at(room, ""), headers={"sec-fetch-site": "cross-site"}).status_code == 200, "a link in a mail may be followed"


def test_requests_are_short_and_of_the_form(client: TestClient, room: Room) -> None:
    key = joined(client, room)["reader"]
    long = client.post(at(room, "join"), content=b"x" * (MOST_BODY + 1), headers={"content-type": "application/json"})
    assert long.status_code == 413
    chunks = client.post(at(room, "join"), content=(b"x" * 1000 for _ in range(40)), headers={"content-type": "application/json"})
    assert (chunks.status_code, chunks.json()["error"]) == (400, "The request is too long.")
    for body in (b"{", b"[]", b"[" * 9000, b"\xff"):
        assert client.post(at(room, "join"), content=body, headers={"content-type": "application/json"}).status_code == 400
    before = (room.folder / "answers.jsonl").read_bytes()
    for path, given in (
        ("join", {"name": ""}),
        ("join", {"name": "x" * 41}),
        ("join", {"name": "a\nb"}),
        ("join", {"name": "b", "role": "king"}),
        ("join", {"name": "b", "years": -1}),
        ("join", {"name": "b", "years": True}),
        ("join", {"name": "anna", "role": "other"}),
        ("answer", {"position": 0, "answer": "maybe"}),
        ("answer", {"position": 5, "answer": "real"}),
        ("answer", {"position": True, "answer": "real"}),
        ("answer", {"position": 0, "answer": "real", "seconds": "soon"}),
        ("detail", {"position": 0}),
        ("detail", {"position": -1, "confidence": 6}),
    ):
        assert client.post(at(room, path), json={"reader": key, **given}).status_code == 400, given
    assert client.post(at(room, "state"), json={"reader": "nobody"}).status_code == 404
    assert (room.folder / "answers.jsonl").read_bytes() == before, "nothing of it is stored"


def test_a_full_disk_is_told(client: TestClient, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    key = joined(client, room)["reader"]

    def full(_handle: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("manikin.workflow.reading.journal.os.write", full)
    answer = client.post(at(room, "answer"), json={"reader": key, "position": 0, "answer": "real"})
    assert answer.status_code == 500
    assert "could not be stored" in answer.json()["error"]
    monkeypatch.undo()
    assert client.post(at(room, "state"), json={"reader": key}).json()["position"] == 0


def test_a_crash_costs_no_answer(room: Room, sets: tuple[Path, Path]) -> None:
    key = room.join({"name": "anna", "role": "other"})["reader"]
    room.answer(key, {"position": 0, "answer": "real", "seconds": 2.0})
    with pytest.raises(InputError, match="open in another process"):
        begin(room.folder)
    access, journal = room.access, room.folder / "answers.jsonl"
    room.close()
    with journal.open("ab") as file:
        file.write(b'{"event": "answer", "reader": "an')  # the power went
    again = begin(room.folder, real=sets[0], synthetic=sets[1], images=12, repeats=0.5, seed=3)
    assert again.is_resumed
    assert again.room.access == access, "a bookmark still leads there"
    assert again.room.join({"name": "anna", "role": "other"})["position"] == 1
    assert again.room.progress() == {"anna": (1, 18)}
    assert json.loads(journal.read_bytes().splitlines()[-1])["answer"] == "real"
    with pytest.raises(NotFoundError):
        again.room.image("0" * 24)
    again.room.close()
    with journal.open("ab") as file:
        file.write(b"nonsense\n{}\n")
    with pytest.raises(DataError, match="line 3"):
        begin(room.folder)


def test_another_test_is_not_overwritten(room: Room, sets: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="holds another test"):
        begin(room.folder, real=sets[0], synthetic=sets[1], images=4)
    with pytest.raises(ParameterError, match="holds no test"):
        begin(tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="the same place"):
        begin(tmp_path / "new", real=sets[0], synthetic=sets[0])
    for given in ({"images": 1}, {"repeats": 1.5}, {"margin": 0.0}):
        with pytest.raises(ParameterError):
            begin(tmp_path / "new", real=sets[0], synthetic=sets[1], **given)
    assert not (tmp_path / "new").exists()


def test_addresses() -> None:
    for host, port in (("0.0.0.0", 0), ("::", 0), ("example.org", 0), ("127.0.0.1", 70000)):
        with pytest.raises(ParameterError):
            bound(host, port)
    taken = bound("127.0.0.1", 0)
    with pytest.raises(ParameterError, match="is taken"):
        bound("127.0.0.1", taken.getsockname()[1])
    taken.close()
    assert hosts_of("127.0.0.1", 80) == {"127.0.0.1:80", "localhost:80"}
    assert hosts_of("10.0.0.5", 80) == {"10.0.0.5:80"}
