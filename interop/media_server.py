"""The example `media_server` on loopback, and what it tells of its sessions under `/sessions`."""

import json
import os
import urllib.request

from case import TOP, Program, check

SERVER = os.path.join(TOP, "target/release/examples/media_server")
NO_SESSION = {"ice": None, "dtls": None, "connection": None, "end_reason": None, "timeline": []}
NO_CALL = NO_SESSION | dict.fromkeys(("signaling", "negotiation", "recovery", "disconnect_reason")) | {"sections": [], "transports": []}


class MediaServer(Program):
    """A started server, ended with the `with` block; its one session is the one that rows speak of."""

    def __init__(self, *options, bind=("127.0.0.1",)):
        addresses = [word for address in bind for word in ("--bind", address)]
        super().__init__("floe", SERVER, "--http-port", 0, "--udp-port", 0, "--expiry", 600, *addresses, *options)

    def __enter__(self):
        try:
            self.url = self.line(r"http://127\.0\.0\.1:\d+/?")[0].rstrip("/")
        except BaseException:
            self.__exit__()
            raise
        return self

    def overview(self):
        with urllib.request.urlopen(self.url + "/sessions", timeout=5) as response:
            return json.load(response)

    def sessions(self):
        return self.overview()["sessions"]

    def session(self):
        """The one that lives, or else the one that ended last, or an empty one while there is none yet."""
        sessions = self.sessions()
        live = [session for session in sessions if not session["end_reason"]]
        check(len(live) <= 1, f"{len(live)} sessions live")
        return (live or sessions or [NO_SESSION])[0]

    def call(self):
        """The newest call, or an empty one while there is none yet."""
        return (self.overview()["calls"] or [NO_CALL])[0]

    def states(self, what):
        """Every state that `what` of the session was in, oldest first."""
        entries = [entry for entry in self.session()["timeline"] if entry["what"] == what]
        return [entry["from"] for entry in entries[:1]] + [entry["to"] for entry in entries]

    def restarts_confirmed(self):
        return sum((entry["what"], entry["to"]) == ("ice_restart", "confirmed") for entry in self.session()["timeline"])

    def agreed(self):
        """What DTLS agreed on."""
        session = self.session()
        return " ".join(session[key] for key in ("dtls_version", "cipher_suite", "group"))


class CallServer(MediaServer):
    """Where the one session is a call: what it tells of its one transport is told of the session."""

    def session(self):
        call = self.call()
        return call | (call["transports"] or [{}])[0]
