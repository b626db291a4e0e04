"""Headless Chromium against the example `media_server`: what both sides say while a session begins, lives and ends.

A row looks from both ends: at the events that the page saw (`window.floe.states`) and at what `GET /sessions` tells.
Two things Chromium never reports, so they are expected of floe alone: `completed` of a single ICE transport, and the
states of a connection after its own `close()`.
"""

import contextlib
import json
import subprocess
import time

from case import check, equal, eventually, row
from media_server import MediaServer
from webdriver import Browser

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


SELECTED_ADDRESS = """
    const report = [...(await window.floe.pc.getStats()).values()];
    const transport = report.find((entry) => entry.type === 'transport');
    const pair = report.find((entry) => entry.id === transport.selectedCandidatePairId);
    return report.find((entry) => entry.id === pair.remoteCandidateId).address;
"""

# Keeps the answer's candidate with this address from the page.
HOLD_BACK = """
    const address = arguments[0], original = window.fetch;
    window.fetch = async (resource, options) => {
        const response = await original(resource, options);
        if (options?.method !== 'POST') return response;
        const {status, headers} = response, lines = (await response.text()).split('\\r\\n');
        const isHeld = (line) => line.startsWith('a=candidate:') && line.includes(` ${address} `);
        window.heldBack = lines.filter(isHeld);
        return new Response(lines.filter((line) => !isHeld(line)).join('\\r\\n'), {status, headers});
    };
"""
OFFER_THE_OTHER = """
    for (const line of window.heldBack) {
        await window.floe.pc.addIceCandidate({candidate: line.slice('a='.length), sdpMLineIndex: 0});
    }
"""
RESTART = "return window.floe.restartIce()"

# WHIP knows no offer of the server's (RFC 9725 §4.3.3): one is made of the answer that the page has, with the same ICE credentials,
# and the page answers it. The page is then the answering side of a renegotiation that restarts nothing.
SERVER_OFFERS = """
    const {pc} = window.floe;
    const sdp = pc.remoteDescription.sdp
        .replace(/^a=setup:.*$/mg, 'a=setup:actpass')
        .replace(/^(o=\\S+ \\S+ )(\\d+)/m, (_, head, version) => head + (Number(version) + 1));
    await pc.setRemoteDescription({type: 'offer', sdp});
    await pc.setLocalDescription();
"""

# And the other way round again: the page offers, and the answer is the one it has.
PAGE_OFFERS = """
    const {pc} = window.floe, setup = arguments[0];
    const answer = pc.remoteDescription.sdp
        .replace(/^a=setup:.*$/mg, 'a=setup:' + setup)
        .replace(/^(o=\\S+ \\S+ )(\\d+)/m, (_, head, version) => head + (Number(version) + 1));
    await pc.setLocalDescription(await pc.createOffer());
    await pc.setRemoteDescription({type: 'answer', sdp: answer});
"""

ROLES = {"controlling": "controlled", "controlled": "controlling"}


class Call:
    """A media server and a browser whose page is open; `start` makes the one session between them."""

    def __init__(self, *options, flags=(), bind=("127.0.0.1",)):
        self.options, self.flags, self.bind = options, flags, bind

    def __enter__(self):
        self.server = MediaServer(*self.options, bind=self.bind).__enter__()
        try:
            self.browser = Browser(*self.flags)
            self.browser.open(self.server.url + "/")
        except BaseException:
            self.server.__exit__()
            raise
        return self

    def __exit__(self, *_):
        print("page:", self._quietly(self.page))
        print("floe:", self._quietly(lambda: json.dumps(self.server.sessions(), indent=1)))
        self.browser.close()
        self.server.__exit__()

    def start(self, **options):
        self.browser.run("return window.floe.start(arguments[0])", options)

    def connect(self, **options):
        self.start(**options)
        eventually("the page says connected", lambda: self.page()["connection"][-1] == "connected")
        eventually("floe says connected", lambda: self.session()["connection"] == "connected")

    def page(self):
        """Every state the page has seen, by object, oldest first."""
        return self.browser.run("return window.floe.states")

    def selected_pair(self):
        return self.browser.run(SELECTED_PAIR)

    def session(self):
        return self.server.session()

    def floe(self, what):
        """Every state floe was in, oldest first."""
        return self.server.states(what)

    def versions(self):
        return f"{self.browser.version}, {self.server.agreed()}"

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
    # Where the browser has nominated, and said that no more candidates come, before its pair works here, all is done at once. A lite
    # agent, which makes no checks, waits for nothing else.
    connected = ["connected"] if "connected" in call.floe("ice") else []
    for what in ("ice", "ice_connection"):
        equal(f"floe {what}", call.floe(what), ["new", "checking", *connected, "completed"])
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
            eventually("the new generation is confirmed", lambda: call.server.restarts_confirmed() >= generation)
        stays(call, 3)
        equal("page connection", call.page()["connection"], ["new", "connecting", "connected"])
        equal("floe connection", call.floe("connection"), ["new", "connecting", "connected"])
        equal("page DTLS", call.page()["dtls"], ["new", "connecting", "connected"])
        equal("floe DTLS", call.floe("dtls"), ["new", "connecting", "connected"])
        return call.versions()


# req: I15
@row("Chromium", "restarts ICE twice; floe full")
def chromium_restarts_ice_with_floe_full():
    return restarts("full")


# req: I15
@row("Chromium", "restarts ICE twice; floe lite")
def chromium_restarts_ice_with_floe_lite():
    return restarts("lite")


def roles_agree(call):
    """Both ends name their role, and the roles differ."""
    page, floe = call.selected_pair()["iceRole"], call.session()["ice_role"]
    return page in ROLES and floe == ROLES[page] and page


def flows(call):
    """Media and data arrive anew, and the other side consents."""
    before = call.session()
    moved = lambda what, count: call.session()[what][count] > before[what][count]
    eventually("media flows", lambda: moved("media", "datagrams"))
    eventually("data flows", lambda: moved("data", "messages"))
    age = call.session()["consent_age_ms"]
    check(age is not None and age <= CONSENT_INTERVAL_MS + 500, f"consent is {age} ms old")


def never_left(call, *, ice):
    """No object left `connected`, in the page or in floe; DTLS began once."""
    for name in ("connection", "dtls"):
        equal(f"page {name}", call.page()[name], ["new", "connecting", "connected"])
        equal(f"floe {name}", call.floe(name), ["new", "connecting", "connected"])
    equal("floe ICE", call.session()["ice"], ice)


# req: I9
@row("Chromium", "both begin as controlling agents; floe full")
def chromium_settles_a_role_conflict_with_floe():
    outcomes = []
    with Call("--ice", "full", "--ice-initiation", "initiating") as call:
        # The tie-breakers are random: over some sessions either side gives in.
        for attempt in range(12):
            if attempt:
                call.browser.run("return window.floe.stop()")
                eventually("floe ended the session", lambda: call.session()["end_reason"])
            call.connect()
            eventually("floe has completed", lambda: call.session()["ice"] == "completed")
            outcomes.append(eventually("the roles differ", lambda: roles_agree(call)))
            flows(call)
            never_left(call, ice="completed")
            if len(set(outcomes)) == 2:
                break
        print("the page was:", outcomes)
        check(len(set(outcomes)) == 2, f"of both outcomes only one came: {outcomes}")
        return f"{call.versions()}; the page was {', then '.join(outcomes)}"


def renegotiates(mode, dtls):
    """Without a restart: the page answers, then offers, then answers again. Some versions swap their role by it, which is a
    conflict to be settled in mid-session; others keep it."""
    with Call("--ice", mode, "--dtls", dtls) as call:
        call.connect()
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        flows(call)
        path, fragment = call.session()["selected_pair"], call.selected_pair()["usernameFragment"]
        roles = [roles_agree(call)]
        for offers in (SERVER_OFFERS, PAGE_OFFERS, SERVER_OFFERS):
            call.browser.run(offers, dtls)
            print("right after it the page is", call.selected_pair()["iceRole"], "and floe", call.session()["ice_role"])
            # A few consent checks from either side, in whatever roles.
            time.sleep(2 * CONSENT_INTERVAL_MS / 1000 + 1)
            roles.append(eventually("the roles differ", lambda: roles_agree(call)))
            flows(call)
        print("the page was:", roles)
        never_left(call, ice="completed")
        equal("page ICE transport", call.page()["iceTransport"], ["new", "checking", "connected"])
        equal("the path", call.session()["selected_pair"], path)
        equal("the username fragment", call.selected_pair()["usernameFragment"], fragment)
        equal("restarts", call.session()["ice_restarts"], 0)
        return f"{call.versions()}; the page was {', '.join(roles)}"


# req: I9
@row("Chromium", "renegotiates without restart; floe full", seconds=75)
def chromium_renegotiates_with_floe_full():
    return renegotiates("full", "passive")


# req: I9
@row("Chromium", "renegotiates without restart; floe lite", seconds=75)
def chromium_renegotiates_with_floe_lite():
    return renegotiates("lite", "passive")


def network_changes(mode, first, moves):
    """The server has two addresses and tells the page of one. The path to it goes away; `moves` is what the page does about it."""
    addresses = [f"127.0.{first}.1", f"127.0.{first}.2"]
    with Call("--ice", mode, bind=addresses) as call:
        call.browser.run(HOLD_BACK, addresses[1])
        call.connect()
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        flows(call)
        equal("the path goes through", host_of(call.session()["selected_pair"]["local"]), addresses[0])
        with unreachable(addresses[0]):
            lost = time.monotonic()
            through = lambda: host_of((call.session()["selected_pair"] or {"local": ""})["local"])
            # A full agent has checked the page's candidates from all of its addresses, and may have moved on by itself.
            noticed = lambda: call.session()["ice"] == "disconnected" or through() == addresses[1]
            eventually("floe notices", noticed, 20)
            call.browser.run(moves)
            eventually("floe uses its other address", lambda: through() == addresses[1], 20)
            eventually("floe is well", lambda: call.session()["ice"] in ("connected", "completed"), 20)
            eventually("floe's connection is well", lambda: call.session()["connection"] == "connected", 20)
            eventually("the page is well", lambda: call.page()["connection"][-1] == "connected", 20)
            moved = time.monotonic() - lost
            # Beyond the time that consent on the old path lasts.
            time.sleep(CONSENT_EXPIRES + 1)
            flows(call)
            equal("Chromium sends to", call.browser.run(SELECTED_ADDRESS), addresses[1])
            eventually("the roles differ", lambda: roles_agree(call))
        # And when the old one is back, nothing moves any more.
        time.sleep(CONSENT_INTERVAL_MS / 1000)
        flows(call)
        equal("the path goes through", through(), addresses[1])
        check("failed" not in call.floe("ice") + call.page()["connection"], "something failed on the way")
        equal("page DTLS", call.page()["dtls"], ["new", "connecting", "connected"])
        equal("floe DTLS", call.floe("dtls"), ["new", "connecting", "connected"])
        said = call.floe("connection")
        equal("floe connection", [said[:3], said[-1]], [["new", "connecting", "connected"], "connected"])
        return f"{call.versions()}; moved on after {moved:.1f} s"


def host_of(address):
    return address.rpartition(":")[0]


@contextlib.contextmanager
def unreachable(address):
    """What is sent to `address` comes back as unreachable; what comes from there arrives."""
    route = ["unreachable", f"{address}/32", "table", "local"]
    subprocess.run(["ip", "route", "add", *route], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "del", *route], check=True)


# req: I10 I13 I20
@row("Chromium", "the server's address goes away and it offers another; floe full", seconds=100)
def chromium_moves_to_another_candidate_of_floe_full():
    return network_changes("full", 7, OFFER_THE_OTHER)


# req: I10 I13 I22
@row("Chromium", "the server's address goes away and it offers another; floe lite", seconds=100)
def chromium_moves_to_another_candidate_of_floe_lite():
    return network_changes("lite", 8, OFFER_THE_OTHER)


# req: I15 I20
@row("Chromium", "restarts ICE when its path has gone away; floe full", seconds=100)
def chromium_restarts_ice_off_a_dead_path_with_floe_full():
    return network_changes("full", 9, RESTART)


# req: I15 I22
@row("Chromium", "restarts ICE when its path has gone away; floe lite", seconds=100)
def chromium_restarts_ice_off_a_dead_path_with_floe_lite():
    return network_changes("lite", 10, RESTART)


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
        ended = eventually("floe ended the session", lambda: call.session()["end_reason"])
        print("end reason:", ended)
        return versions
