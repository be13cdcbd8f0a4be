"""Strange requests: addresses, headers, forms and messages that no page of ours sends. Each is answered in words; none ends anything."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.program import PASSWORD, Running
from tests.web.test_doors import told_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

# ------------------------------------------------------------------------------------------------------------ strange messages

STRANGE = [
    "", "{", "[]", "null", '{"t":1}', '{"t":"join"}', '{"t":"join","feed":7}', '{"t":"join","feed":"desk","since":5}',
    '{"t":"ping","n":9223372036854775808}', '{"t":"ping","n":1e400}', '{"t":"ping","n":"x"}', '{"t":"leave","feed":"nothing"}', '{"t":"nonsense"}',
    '{"t":"join","feed":"desk\\u0000"}', '{"t":"join","feed":"\\ud800"}', '{"t":"join","feed":"desk","since":"' + "9" * 4000 + '"}',
    '{"v":99,"t":"join","feed":"desk","since":"a:-1"}', "[" * 5000, '{"t":"join","feed":"' + "x" * 9000 + '"}',
]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: text[:30])
async def test_a_strange_message_does_not_end_a_socket(shared: Running, text: str) -> None:
    async with (await shared.browser("wang")).socket() as socket:
        await socket.ws.send_str(text)
        await socket.say(t="ping", n=41)
        while (told := await socket.next()) is not None and told.get("n") != 41:
            pass
        assert told is not None and told["t"] == "pong"


async def test_a_frame_that_is_too_large_ends_only_its_own_socket(shared: Running) -> None:
    browser = await shared.browser("wang")
    async with browser.socket() as socket, browser.socket() as other:
        await socket.ws.send_str("x" * 20_000)
        while await socket.next() is not None:
            pass
        await other.say(t="ping", n=1)
        assert (await told_of(other, "pong"))["n"] == 1


# ------------------------------------------------------------------------------------------------------------ strange requests


@pytest.mark.parametrize(
    "path",
    [
        "/customers?page=²", "/customers?page=٣", "/customers?page=-1", "/customers?page=1e3", "/calls?page=²", "/calls?day=2026-02-30",
        "/calls?day=9999-12-31", "/calls?day=0001-01-01", "/calls?day=" + "9" * 300, "/calls?figure=nothing", "/calls?figure=__class__&day=2026-11-18",
        "/calls?agent=0", "/calls?agent=9223372036854775807", "/calls?agent=x", "/calls?q=%00", "/calls?q=%25%5F%5C", "/customers?q=%F0%9F%98%80",
        "/customers?q=%ff%fe", "/customers?sort=;drop", "/customers/0", "/customers/9223372036854775808", "/customers/abc", "/customers/1/timeline?before=²",
        "/calls/1", "/calls/99999999999999999999", "/recordings/1/sound", "/static/", "/static/%00", "/static/..%2f..%2fconfig/settings.py",
        "/static/" + "x" * 5000, "/static/desk/../../app.py", "/no/such/page", "/no/%00", "/%ff", "/api/v1/nothing", "/signin?next=%00&lang=xx",
    ],
)  # fmt: skip
async def test_a_strange_address_is_answered_in_words(shared: Running, path: str) -> None:
    browser = await shared.browser("zhang")
    paths = [path]
    if path.startswith("/customers/1/"):
        customer = (await browser.get("/api/v1/customers")).json["customers"][0]["id"]
        paths = [path.replace("/1/", f"/{customer}/")]
    for one in paths:
        answer = await browser.get(one)
        assert answer.status < 500, answer.body[:200]
        assert b"Traceback" not in answer.body and b".py" not in answer.body


@pytest.mark.parametrize(
    "header", ["Authorization", "Cookie", "X-CSRF-Token", "User-Agent", "Accept-Language", "Range", "Origin", "X-Fragment"]
)
@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"lingxi=\xff", b"\xc3\x28", b"bytes=a-b", b"x" * 5000], ids=repr)
async def test_a_strange_header_is_answered_in_words(shared: Running, header: str, value: bytes) -> None:
    for method, path in (("GET", "/api/v1/words"), ("POST", "/signin"), ("GET", "/signin")):
        body = f"login=wang&password={PASSWORD.replace(' ', '+')}".encode() if method == "POST" else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        kind = b"Content-Type: application/x-www-form-urlencoded\r\n" if body else b""
        assert await status_of(shared, head.encode() + kind + header.encode() + b": " + value + b"\r\n\r\n" + body) < 500


async def status_of(shared: Running, request: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(shared.url.rsplit(":", 1)[1]))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


FORMS = [
    ("application/x-www-form-urlencoded", b"login=\xff&password=\xfe"),
    ("application/x-www-form-urlencoded; charset=nonsense", b"login=a&password=b"),
    ("application/x-www-form-urlencoded", b"login=%00wang&password=%00"),
    ("application/x-www-form-urlencoded", b"login=" + b"a" * 10_000 + b"&password=" + b"b" * 10_000),
    ("application/x-www-form-urlencoded", b"login=%ed%a0%80&password=%ed%a0%80"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"login\"; filename=\"f\"\r\n\r\nwang\r\n--x--\r\n"),
    ("multipart/form-data", b"--x"),
    ("application/json", b"{}"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), FORMS, ids=range(len(FORMS)))
async def test_a_strange_sign_in_is_refused_in_words(shared_everywhere: Running, kind: str, body: bytes) -> None:
    browser = await shared_everywhere.browser()
    async with browser.session.post(
        f"{shared_everywhere.url}/signin", data=body, headers={"Content-Type": kind}, allow_redirects=False
    ) as answer:
        assert 400 <= answer.status < 500
