"""Headless Chromium against the example `media_server`: what both sides say while a session begins, lives and ends.

A row looks from both ends: at the events that the page saw (`window.floe.states`) and at what `GET /sessions` tells.
Two things Chromium never reports, so they are expected of floe alone: `completed` of a single ICE transport, and the
states of a connection after its own `close()`.
"""

import json
import os
import time
import urllib.request

from case import TOP, Program, check, equal, eventually, row
from webdriver import Browser

SERVER = os.path.join(TOP, "target/release/examples/media_server")
CONSENT_INTERVAL_MS = 6_000  # the longest time between two checks, RFC 7675 §5.1
CONSENT_EXPIRES = 30  # seconds without an answer, RFC 7675 §5.1
POST_QUANTUM = "X25519MLKEM768"
NO_POST_QUANTUM = "--disable-features=WebRtcPqcForDtls"
WIRE_VERSIONS = {"DTLS 1.2": "FEFD", "DTLS 1.3": "FEFC"}
PATIENCE = 39.5  # seconds from the start during which nothing is given up, RFC 8863 §4

# Replaces the certificate fingerprint in what is sent ("request") or in what comes back ("response").
FALSIFY = """
    const which = arguments[0], original = window.fetch;
    const falsify = (sdp) => sdp.replace(/^a=fingerprint:sha-256 .*$/mg,
        'a=fingerprint:sha-256 ' + Array(32).fill('5A').join(':'));
    window.fetch = async (resource, options) => {
        if (options?.method !== 'POST') return original(resource, options);
        if (which === 'request') return original(resource, {...options, body: falsify(options.body)});
        const response = await original(resource, options);
        const {status, headers} = response;
        return new Response(falsify(await response.text()), {status, headers});
    };
"""

SELECTED_PAIR = """
    const report = [...(await window.floe.pc.getStats()).values()];
    const transport = report.find((entry) => entry.type === 'transport');
    const pair = report.find((entry) => entry.id === transport.selectedCandidatePairId);
    const local = report.find((entry) => entry.id === pair.localCandidateId);
    const {dtlsRole, iceRole, tlsVersion, dtlsCipher} = transport;
    return {usernameFragment: local.usernameFragment, dtlsRole, iceRole, tlsVersion, dtlsCipher};
"""


class Call:
    """A media server and a browser whose page is open; `start` makes the one session between them."""

    def __init__(self, *options, flags=()):
        self.options, self.flags = options, flags

    def __enter__(self):
        self.server = Program(
            "floe", SERVER, "--http-port", 0, "--bind", "127.0.0.1", "--udp-port", 0, "--expiry", 600, *self.options
        ).__enter__()
        try:
            self.url = self.server.line(r"http://127\.0\.0\.1:\d+/?")[0].rstrip("/")
            self.browser = Browser(*self.flags)
            self.browser.open(self.url + "/")
        except BaseException:
            self.server.__exit__()
            raise
        return self

    def __exit__(self, *_):
        print("page:", self._quietly(self.page))
        print("floe:", self._quietly(lambda: json.dumps(self.sessions(), indent=1)))
        self.browser.close()
        self.server.__exit__()

    def start(self):
        self.browser.run("return window.floe.start()")

    def connect(self):
        self.start()
        eventually("the page says connected", lambda: self.page()["connection"][-1] == "connected")
        eventually("floe says connected", lambda: self.session()["connection"] == "connected")

    def page(self):
        """Every state the page has seen, by object, oldest first."""
        return self.browser.run("return window.floe.states")

    def selected_pair(self):
        return self.browser.run(SELECTED_PAIR)

    def sessions(self):
        with urllib.request.urlopen(self.url + "/sessions", timeout=5) as response:
            return json.load(response)["sessions"]

    def session(self):
        """The one session, or an empty one while there is none yet."""
        sessions = self.sessions()
        check(len(sessions) <= 1, f"{len(sessions)} sessions")
        return sessions[0] if sessions else {"ice": None, "dtls": None, "connection": None, "timeline": []}

    def floe(self, what):
        """Every state floe was in, oldest first."""
        entries = [entry for entry in self.session()["timeline"] if entry["what"] == what]
        return [entry["from"] for entry in entries[:1]] + [entry["to"] for entry in entries]

    def versions(self):
        session = self.session()
        agreed = " ".join(session[key] for key in ("dtls_version", "cipher_suite", "group"))
        return f"{self.browser.version}, {agreed}"

    @staticmethod
    def _quietly(probe):
        try:
            return probe()
        except Exception as error:
            return str(error)


def begins_well(call, mode):
    """The golden sequences of a first connection, on both sides."""
    page = call.page()
    equal("page signaling", page["signaling"], ["stable", "have-local-offer", "stable"])
    equal("page gathering", page["iceGathering"], ["new", "gathering", "complete"])
    equal("page ICE transport", page["iceTransport"], ["new", "checking", "connected"])
    check(page["iceConnection"][:3] == ["new", "checking", "connected"], f"page iceConnection {page['iceConnection']}")
    check(page["iceConnection"][3:] in ([], ["completed"]), f"page iceConnection {page['iceConnection']}")
    equal("page DTLS", page["dtls"], ["new", "connecting", "connected"])
    equal("page connection", page["connection"], ["new", "connecting", "connected"])
    equal("floe gathering", call.floe("gathering"), ["new", "gathering", "complete"])
    # A lite agent makes no checks: once the browser has nominated and said that no more candidates come, all is done.
    connected = ["connected"] if mode == "full" or "connected" in call.floe("ice") else []
    equal("floe ICE", call.floe("ice"), ["new", "checking", *connected, "completed"])
    equal("floe DTLS", call.floe("dtls"), ["new", "connecting", "connected"])
    equal("floe connection", call.floe("connection"), ["new", "connecting", "connected"])
    happened = [(entry["what"], entry["to"]) for entry in call.session()["timeline"]]
    print("floe's order:", happened)
    path = happened.index(("ice", [*connected, "completed"][0]))
    check(happened.index(("connection", "connected")) > max(path, happened.index(("dtls", "connected"))), "connected too early")
    check(mode == "lite" or happened.index(("dtls", "connecting")) > path, "DTLS began without a path")


def stays(call, seconds):
    """Nothing changes, and consent is never older than one interval and an answer."""
    before, page = call.session()["timeline"], call.page()
    media = call.session()["media"]["datagrams"]
    for _ in range(seconds):
        time.sleep(1)
        age = call.session()["consent_age_ms"]
        check(age is not None and age <= CONSENT_INTERVAL_MS + 500, f"consent is {age} ms old")
    equal("changes at floe", call.session()["timeline"][len(before):], [])
    equal("changes in the page", call.page(), page)
    check(call.session()["media"]["datagrams"] - media >= 25 * seconds, "the audio, 50 datagrams a second, did not arrive")


def agree(call, version, group):
    """Both say that the same was negotiated; the browser does not tell the group."""
    session, pair = call.session(), call.selected_pair()
    equal("floe's version", session["dtls_version"], version)
    equal("Chromium's version", pair["tlsVersion"], WIRE_VERSIONS[version])
    equal("floe's group", session["group"], group)
    equal("Chromium's cipher suite", pair["dtlsCipher"], session["cipher_suite"])


def connects(mode, dtls, *options, version="DTLS 1.3", group=POST_QUANTUM, flags=(), hold=0):
    with Call("--ice", mode, "--dtls", dtls, *options, flags=flags) as call:
        call.connect()
        agree(call, version, group)
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        eventually("the page gathered", lambda: call.page()["iceGathering"][-1] == "complete")
        begins_well(call, mode)
        eventually("the data channel speaks", lambda: call.session()["data"]["messages"])
        pair = call.selected_pair()
        equal("Chromium's DTLS role", pair["dtlsRole"], "server" if dtls == "active" else "client")
        equal("Chromium's ICE role", pair["iceRole"], "controlling")
        if hold:
            stays(call, hold)
        return call.versions()


# req: T64 R79 R80 R81 R82 R83 R84 R85
@row("Chromium", "ICE controlling, DTLS client; floe full")
def chromium_connects_to_floe_full():
    return connects("full", "passive", hold=13)


# req: R79 R80 R82 R83 R85
@row("Chromium", "ICE controlling, DTLS client; floe lite")
def chromium_connects_to_floe_lite():
    return connects("lite", "passive", hold=13)


# req: T64 R82 R83
@row("Chromium", "ICE controlling, DTLS server; floe full")
def chromium_is_the_dtls_server():
    return connects("full", "active")


# req: T64 R82 R83
@row("Chromium", "DTLS client, without a post-quantum share")
def chromium_is_the_dtls_client_without_a_post_quantum_share():
    return connects("full", "passive", group="x25519", flags=[NO_POST_QUANTUM])


# req: T64 R82 R83
@row("Chromium", "DTLS server, without a post-quantum share")
def chromium_is_the_dtls_server_without_a_post_quantum_share():
    return connects("full", "active", group="x25519", flags=[NO_POST_QUANTUM])


# req: T64
@row("Chromium", "DTLS client; floe on ring, without X25519MLKEM768")
def chromium_is_the_dtls_client_of_floe_on_ring():
    return connects("full", "passive", "--crypto", "ring", group="x25519")


# req: T64
@row("Chromium", "DTLS server; floe on ring, without X25519MLKEM768")
def chromium_is_the_dtls_server_of_floe_on_ring():
    return connects("full", "active", "--crypto", "ring", group="x25519")


# req: T64
@row("Chromium", "DTLS client; floe speaks DTLS 1.2 only")
def chromium_is_the_dtls_client_with_dtls_1_2():
    return connects("full", "passive", "--dtls-max-version", "1.2", version="DTLS 1.2", group="x25519")


# req: T64
@row("Chromium", "DTLS server; floe speaks DTLS 1.2 only")
def chromium_is_the_dtls_server_with_dtls_1_2():
    return connects("full", "active", "--dtls-max-version", "1.2", version="DTLS 1.2", group="x25519")


def restarts(mode):
    with Call("--ice", mode) as call:
        call.connect()
        old = call.selected_pair()["usernameFragment"]
        for generation in (1, 2):
            call.browser.run("return window.floe.restartIce()")
            new = eventually(
                "a new username fragment is selected",
                lambda: call.selected_pair()["usernameFragment"] not in (None, old) and call.selected_pair(),
            )["usernameFragment"]
            print(f"restart {generation}: {old} -> {new}")
            old = new
            eventually("the new generation is confirmed", lambda: restarts_confirmed(call) >= generation)
        stays(call, 3)
        equal("page connection", call.page()["connection"], ["new", "connecting", "connected"])
        equal("floe connection", call.floe("connection"), ["new", "connecting", "connected"])
        equal("page DTLS", call.page()["dtls"], ["new", "connecting", "connected"])
        equal("floe DTLS", call.floe("dtls"), ["new", "connecting", "connected"])
        return call.versions()


def restarts_confirmed(call):
    return sum((entry["what"], entry["to"]) == ("ice_restart", "confirmed") for entry in call.session()["timeline"])


# req: I15
@row("Chromium", "restarts ICE twice; floe full")
def chromium_restarts_ice_with_floe_full():
    return restarts("full")


# req: I15
@row("Chromium", "restarts ICE twice; floe lite")
def chromium_restarts_ice_with_floe_lite():
    return restarts("lite")


def tab_killed(mode, reason):
    with Call("--ice", mode) as call:
        call.connect()
        versions = call.versions()
        # Past the time that the first checks get in any case (RFC 8863), so that consent alone decides.
        eventually("the session is old enough", lambda: call.session()["age_ms"] > 1000 * PATIENCE - 24_000, 30)
        equal("floe ICE", call.session()["ice"], "completed")
        call.browser.kill_tab()
        killed = time.monotonic()
        eventually("floe says disconnected", lambda: call.session()["ice"] == "disconnected", 20)
        lost = time.monotonic() - killed
        check(lost >= 5, f"disconnected after {lost:.1f} s")
        equal("floe connection", call.session()["connection"], "disconnected")
        eventually("floe says failed", lambda: call.session()["ice"] == "failed", 40)
        failed = time.monotonic() - killed
        check(CONSENT_EXPIRES - CONSENT_INTERVAL_MS / 1000 - 1 <= failed <= CONSENT_EXPIRES + 2, f"failed after {failed:.1f} s")
        equal("floe ICE", call.floe("ice")[-3:], ["completed", "disconnected", "failed"])
        equal("floe connection", call.floe("connection")[-3:], ["connected", "disconnected", "failed"])
        end = [entry["reason"] for entry in call.session()["timeline"] if entry["what"] == "ice"][-1]
        check(reason in end, f"the reason is {end!r}")
        explanation = call.session()["explain"]
        check("transport" in explanation and end in explanation, f"the explanation is {explanation!r}")
        return f"{versions}; lost after {lost:.1f} s, failed after {failed:.1f} s: {end}"


# req: I20 I21 R26
@row("Chromium", "its tab is killed; floe full", seconds=90)
def chromium_tab_killed_is_noticed_by_floe_full():
    return tab_killed("full", "consent expired")


# req: I22
@row("Chromium", "its tab is killed; floe lite", seconds=90)
def chromium_tab_killed_is_noticed_by_floe_lite():
    return tab_killed("lite", "sent no check")


def wrong_fingerprint(which, dtls):
    """Whoever was told a wrong fingerprint never says that it is connected. Nor does the other, unless it is the client:
    with DTLS 1.3 that one is done before the server has seen its certificate."""
    refusing = "page" if which == "response" else "floe"
    client = "page" if dtls == "passive" else "floe"
    with Call("--dtls", dtls) as call:
        call.browser.run(FALSIFY, which)
        call.start()
        eventually("the page's DTLS transport fails", lambda: call.page()["dtls"][-1] == "failed", 15)
        eventually("floe's DTLS transport fails", lambda: call.session()["dtls"] in ("failed", "closed"), 15)
        time.sleep(1)
        page = call.page()
        said = {"page": page["connection"] + page["dtls"], "floe": call.floe("connection") + call.floe("dtls")}
        print("said:", said)
        for side, states in said.items():
            may_connect = side == client != refusing
            check(may_connect or "connected" not in states, f"{side}: {states}")
        equal("page connection", page["connection"][-1], "failed")
        equal("floe connection", call.session()["connection"], "failed")
        equal("data channel messages at floe", call.session()["data"]["messages"], 0)
        last = [entry for entry in call.session()["timeline"] if entry["what"] == "dtls"][-1]
        return f"{call.browser.version}; {last['to']}: {last['reason']}"


# req: R53
@row("Chromium", "DTLS client; wrong fingerprint in the answer")
def chromium_refuses_a_wrong_fingerprint_as_client():
    return wrong_fingerprint("response", "passive")


# req: R53
@row("Chromium", "DTLS server; wrong fingerprint in the answer")
def chromium_refuses_a_wrong_fingerprint_as_server():
    return wrong_fingerprint("response", "active")


# req: T6 R52 R53
@row("Chromium", "DTLS client; wrong fingerprint in the offer")
def floe_refuses_a_wrong_fingerprint_as_server():
    return wrong_fingerprint("request", "passive")


# req: T6 R52 R53
@row("Chromium", "DTLS server; wrong fingerprint in the offer")
def floe_refuses_a_wrong_fingerprint_as_client():
    return wrong_fingerprint("request", "active")


# req: R54 T23
@row("Chromium", "the server is interrupted")
def chromium_sees_floe_close():
    with Call() as call:
        call.connect()
        versions = call.versions()
        call.server.interrupt()
        eventually("the page's DTLS transport closes", lambda: call.page()["dtls"][-1] == "closed")
        equal("page DTLS", call.page()["dtls"], ["new", "connecting", "connected", "closed"])
        equal("floe's exit status", call.server.ends(), 0)
        return versions


# req: R54
@row("Chromium", "the page stops the session")
def chromium_stops():
    with Call() as call:
        call.connect()
        versions = call.versions()
        call.browser.run("return window.floe.stop()")
        ended = eventually("floe ended the session", lambda: not call.sessions() or call.session()["end_reason"])
        print("end reason:", ended)
        return versions
