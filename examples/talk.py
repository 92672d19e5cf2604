"""A page in which browsers talk to one another over WebSocket: `whorl talk:app --app-dir examples`."""

from __future__ import annotations

from typing import Any

PAGE = b"""<!doctype html>
<meta charset="utf-8">
<title>Whorl</title>
<form><input autofocus autocomplete="off"> <button>Say</button> <button type="button" id="leave">Leave</button></form>
<pre></pre>
<script>
const socket = new WebSocket(location.href.replace(/^http/, "ws"))
const tell = line => document.querySelector("pre").textContent += line + "\\n"
socket.onopen = () => tell("connected; compression: " + (socket.extensions || "none"))
socket.onmessage = event => tell(event.data)
socket.onclose = event => tell(`closed: ${event.code} ${event.reason} ${event.wasClean ? "clean" : "unclean"}`)
document.querySelector("form").onsubmit = event => {
  event.preventDefault()
  const input = document.querySelector("input")
  socket.send(input.value)
  input.value = ""
}
document.querySelector("#leave").onclick = () => socket.close(1000)
</script>
"""

present: set[Any] = set()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve the page, and pass on what anyone says to everyone."""
    if scope["type"] == "websocket":
        await talk(receive, send)
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})
    else:
        raise ValueError("this application has no lifespan")


async def talk(receive: Any, send: Any) -> None:
    """One browser, for as long as it stays."""
    await receive()
    await send({"type": "websocket.accept"})
    present.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            for other in list(present):
                try:
                    await other({"type": "websocket.send", "text": message.get("text", "")})
                except OSError:
                    present.discard(other)  # it has left
    finally:
        present.discard(send)
