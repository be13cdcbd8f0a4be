"""A real browser as a seat's phone: it registers over Asterisk's web socket, answers a queue's call, and both are heard.

The page is the smallest that can do it, with the same JsSIP that the screens use; the product's own softphone has its own tests.
"""

from __future__ import annotations

import asyncio
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from config.demo.callers import Caller
from config.demo.sounds import tone, write_wav
from tests.lab.asterisk_lab import ARI, AsteriskLab, asterisk_lab, members  # noqa: F401
from tests.lab.browser_line import put_secret
from tests.stories.test_pbx_call import channels, middle, strength

pytestmark = [pytest.mark.pbx, pytest.mark.browser]
LIBRARIES = Path(__file__).resolve().parents[2] / "crm_core/web/static/vendor"
SECRET = "secret-of-a-browser"
PAGE = """<!doctype html><script type="module">
import JsSIP from "./%s";
const asked = new URLSearchParams(location.search);
window.told = [];
window.invites = [];
const socket = new JsSIP.WebSocketInterface(asked.get("ws"));
window.ua = new JsSIP.UA({sockets: [socket], uri: `sip:${asked.get("seat")}@127.0.0.1`, password: asked.get("secret")});
ua.on("registered", () => told.push("registered"));
ua.on("registrationFailed", (e) => told.push("refused " + e.cause));
ua.on("newRTCSession", ({session, request}) => {
  window.session = session;
  invites.push(request.toString());
  told.push("invited");
  session.on("confirmed", () => told.push("confirmed"));
  session.on("ended", () => told.push("ended"));
  session.on("failed", (e) => told.push("failed " + e.cause));
  let gathered;
  session.on("icecandidate", (e) => { clearTimeout(gathered); gathered = setTimeout(e.ready, 200); });
  session.on("peerconnection", ({peerconnection}) => {
    peerconnection.addEventListener("track", ({streams}) => { const a = new Audio(); a.srcObject = streams[0]; a.play(); });
  });
  setTimeout(() => session.answer({mediaConstraints: {audio: true, video: false}}), 100);
});
ua.start();
window.pair = async () => {
  const stats = await session.connection.getStats();
  for (const one of stats.values())
    if (one.type === "candidate-pair" && one.nominated)
      return [stats.get(one.localCandidateId).address, stats.get(one.remoteCandidateId).address];
};
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def page_address(tmp_path: Path) -> Iterator[str]:
    """Where the page is served from; skips where the front-end libraries are not built."""
    built = sorted(LIBRARIES.glob("jssip-*.js"))
    if not built or shutil.which("chromium") is None:
        pytest.skip("no Chromium, or the front-end libraries are not built")
    shutil.copy(built[-1], tmp_path / built[-1].name)
    (tmp_path / "index.html").write_text(PAGE % built[-1].name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


async def told(page: Page, what: str, timeout_s: float = 10) -> None:
    await page.wait_for_function(f"window.told && told.includes({what!r})", timeout=timeout_s * 1000)


async def test_a_browser_takes_a_queues_call_and_both_are_heard(
    asterisk_lab: AsteriskLab,  # noqa: F811
    page_address: str,
    tmp_path: Path,
) -> None:
    lab = asterisk_lab
    ami = await lab.ami()
    await put_secret(lab.ari_address, ARI, "2005", SECRET)
    voice = write_wav(tmp_path / "voice.wav", tone(1000, 5))
    async with async_playwright() as browsers:
        browser = await browsers.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={voice}", "--allow-loopback-in-peer-connection",
                "--autoplay-policy=no-user-gesture-required", "--disable-background-networking", "--no-first-run",
            ],
        )  # fmt: skip
        page = await browser.new_page()
        socket = f"ws://{lab.process.own.address}:{lab.ports.http}/ws"
        await page.goto(f"{page_address}?ws={socket}&seat=2005&secret={SECRET}")
        await told(page, "registered")
        async with members(ami, "support", ["2005"]):
            caller = await lab.callers.place(Caller(number="13912345678", to="8001", sound=lab.tone_file(440), hold_s=30))
            await told(page, "confirmed")
            begun = await ami.wait("AgentConnect", MemberName="Desk 2005")
            await asyncio.sleep(3)
            pair = await page.evaluate("pair()")
            await page.evaluate("session.terminate()")
            assert (await caller.result()).ended_by == "pbx"
        invite = str(await page.evaluate("invites[0]"))
        await browser.close()
    await ami.wait("ContactStatus", AOR="2005", ContactStatus="Removed")
    await asyncio.sleep(0.2)
    print("candidates", pair)
    assert "12345678" not in invite
    if lab.process.own.ice_hosts:
        assert pair[1] == "127.0.0.1"  # whichever of its own addresses the browser sends from
    outside, inside = channels(lab.process.recordings / f"{begun['Uniqueid']}.raw")
    assert len(outside) / 8000 > 2.5
    assert strength(middle(outside), 440) > 0.9 and strength(middle(outside), 1000) < 0.02
    assert strength(middle(inside), 1000) > 0.8 and strength(middle(inside), 440) < 0.02
    await ami.close()
