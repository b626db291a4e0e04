"""Chromium and floe when something happens: the network is cut and comes back, ICE restarts, somebody closes or is gone.

At each step the states that the page saw and those that floe tells must be the same, and in the end the whole traces.
Three habits of Chromium's are known: it never says `completed` of a single transport, its `iceConnectionState` stays
`disconnected` where its `connectionState` says `failed`, and a restart is not `checking` there.
"""

import contextlib
import os
import signal
import subprocess
import time

from case import check, equal, eventually, row
from chromium import RESTART, Call, begins_well

GOLDEN = {
    "signaling": ["stable", "have-local-offer", "stable"],
    "iceGathering": ["new", "gathering", "complete"],
    "iceTransport": ["new", "checking", "connected"],
    "dtls": ["new", "connecting", "connected"],
    "connection": ["new", "connecting", "connected"],
}
# What `iceConnectionState` may be when `connectionState` is this.
ICE_CONNECTION = {
    "connected": {"connected", "completed"},
    "disconnected": {"disconnected"},
    "failed": {"failed", "disconnected"},
}
QUIET = ("--log-level=2",)  # else there is a line for each datagram that cannot be sent


@contextlib.contextmanager
def cut(address):
    """Nothing over UDP goes to `address` or comes from there. HTTP is not touched."""
    rules = [["pref", "10", way, f"{address}/32", "ipproto", "udp", "unreachable"] for way in ("from", "to")]
    for rule in rules:
        subprocess.run(["ip", "rule", "add", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["ip", "rule", "del", *rule], check=True)


def both_say(call, state, seconds):
    """The page and floe come to the same aggregate states; returns after how long."""
    began = time.monotonic()
    for side, last in ("the page", lambda: call.page()["connection"][-1]), ("floe", lambda: call.session()["connection"]):
        eventually(f"{side} says {state}", lambda: last() == state, seconds)
    page, floe = call.page()["iceConnection"][-1], call.session()["ice_connection"]
    print(f"both say {state}; iceConnectionState of the page {page}, of floe {floe}")
    check({page, floe} <= ICE_CONNECTION[state], f"{state} with iceConnectionState {page} and {floe}")
    return time.monotonic() - began


def flows(call):
    """The page's audio arrives. Data would wait for SCTP's timer, which a cut makes long."""
    before = call.session()["media"]["datagrams"]
    eventually("media flows", lambda: call.session()["media"]["datagrams"] > before + 10)


def ends_with(call, what, states):
    said = call.floe(what)
    equal(f"floe's {what} ends with", said[-len(states):], states)


def network_flaps(mode, address):
    """Cut for some seconds: once it comes back by itself, once by a restart that was asked for while it was away."""
    with Call("--ice", mode, flags=QUIET, bind=(address,)) as call:
        call.connect(data=False)
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        with cut(address):
            lost = both_say(call, "disconnected", 20)
        found = both_say(call, "connected", 20)
        ends_with(call, "ice", ["completed", "disconnected", "completed"])
        flows(call)
        with cut(address):
            both_say(call, "disconnected", 20)
            call.browser.run(RESTART)
            ends_with(call, "ice", ["disconnected", "checking"])
        both_say(call, "connected", 20)
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        flows(call)
        page = call.page()
        equal("page connection", page["connection"], GOLDEN["connection"] + 2 * ["disconnected", "connected"])
        flaps = ["disconnected", "connected", "disconnected", "connecting", "connected"]
        equal("floe connection", call.floe("connection"), GOLDEN["connection"] + flaps)
        equal("page signaling", page["signaling"], GOLDEN["signaling"] + ["have-local-offer", "stable"])
        equal("page gathering", page["iceGathering"], GOLDEN["iceGathering"] + ["gathering", "complete"])
        equal("floe gathering", call.floe("gathering"), GOLDEN["iceGathering"] + ["gathering", "complete"])
        for who, said in ("page", page["dtls"]), ("floe", call.floe("dtls")):
            equal(f"{who} DTLS", said, GOLDEN["dtls"])
        return f"{call.versions()}; missed after {lost:.1f} s, found after {found:.1f} s"


# req: R79 R80 R82 W17 W31
@row("Chromium", "the network flaps, with and without a restart; floe full", seconds=75)
def network_flaps_with_floe_full():
    return network_flaps("full", "127.0.11.1")


# req: R79 R80 R82 W17 W31
@row("Chromium", "the network flaps, with and without a restart; floe lite", seconds=75)
def network_flaps_with_floe_lite():
    return network_flaps("lite", "127.0.12.1")


def network_fails(mode, address):
    """Cut until both have given up. A restart finds a path again for the same DTLS connection."""
    with Call("--ice", mode, flags=QUIET, bind=(address,)) as call:
        call.connect(data=False)
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        with cut(address):
            both_say(call, "disconnected", 20)
            lasted = both_say(call, "failed", 50)
            ends_with(call, "ice", ["completed", "disconnected", "failed"])
            call.browser.run(RESTART)
            ends_with(call, "ice", ["failed", "checking"])
            ends_with(call, "connection", ["failed", "connecting"])
        both_say(call, "connected", 20)
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        flows(call)
        ends_with(call, "connection", ["disconnected", "failed", "connecting", "connected"])
        for who, said in ("page", call.page()["dtls"]), ("floe", call.floe("dtls")):
            equal(f"{who} DTLS", said, GOLDEN["dtls"])
        return f"{call.versions()}; given up after {lasted:.1f} s more"


# req: I15 I20
@row("Chromium", "the network fails, and a restart finds it again; floe full", seconds=100)
def network_fails_with_floe_full():
    return network_fails("full", "127.0.13.1")


# req: I15 I22
@row("Chromium", "the network fails, and a restart finds it again; floe lite", seconds=100)
def network_fails_with_floe_lite():
    return network_fails("lite", "127.0.14.1")


# req: W16 W31
@row("Chromium", "the server is killed", seconds=60)
def chromium_misses_a_killed_server():
    with Call(flags=QUIET) as call:
        call.connect()
        versions = call.versions()
        os.killpg(call.server.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        eventually("the page says disconnected", lambda: call.page()["connection"][-1] == "disconnected", 15)
        lost = time.monotonic() - killed
        eventually("the page says failed", lambda: call.page()["connection"][-1] == "failed", 40)
        equal("page connection", call.page()["connection"], GOLDEN["connection"] + ["disconnected", "failed"])
        equal("page ICE transport", call.page()["iceTransport"][:4], GOLDEN["iceTransport"] + ["disconnected"])
        equal("page DTLS", call.page()["dtls"], GOLDEN["dtls"])
        return f"{versions}; missed after {lost:.1f} s, failed after {time.monotonic() - killed:.1f} s"


# Starts, and notes every event of the connection and of its transports under `window.events`; those under `window.pairs` are the
# succeeded pairs that the statistics hold in the very event that says that ICE is connected.
WATCHED_START = """
    const events = window.events = [], started = window.floe.start(arguments[0]), {pc} = window.floe;
    const note = (target, ...names) => names.forEach((name) => target.addEventListener(name, () => events.push(name)));
    note(pc, 'signalingstatechange', 'icegatheringstatechange', 'icecandidate', 'iceconnectionstatechange', 'connectionstatechange');
    const connected = new Promise((resolve) => pc.addEventListener('iceconnectionstatechange', async () => {
        if (pc.iceConnectionState !== 'connected') return;
        const report = await pc.getStats(), address = (id) => `${report.get(id).address}:${report.get(id).port}`;
        resolve([...report.values()].filter((entry) => entry.type === 'candidate-pair' && entry.state === 'succeeded')
            .map((pair) => ({local: address(pair.localCandidateId), remote: address(pair.remoteCandidateId)})));
    }));
    await started;
    const dtls = pc.sctp.transport;
    dtls.addEventListener('statechange', () => events.push('dtls'));
    dtls.iceTransport.addEventListener('statechange', () => events.push('ice'));
    return connected;
"""

# The answer there was, once more: nobody asked for it. (One that does not parse would be an OperationError in Chromium.)
SECOND_ANSWER = "return window.floe.pc.setRemoteDescription({type: 'answer', sdp: session.answer}).catch((error) => error.name)"

# Closes while a description is being set, and tells the states right then, the events of the next moments, and whether the
# promise was ever settled.
CLOSE = """
    const {pc} = window.floe, {events} = window, dtls = pc.sctp.transport, before = events.length;
    let settled = false;
    const settle = () => { settled = true; };
    const offer = {type: 'offer', sdp: pc.remoteDescription.sdp.replace(/^a=setup:.*$/mg, 'a=setup:actpass')};
    pc.setRemoteDescription(offer).then(settle, settle);
    pc.close();
    const {connectionState, iceConnectionState, signalingState} = pc;
    const states = [connectionState, iceConnectionState, signalingState, dtls.state, dtls.iceTransport.state];
    await new Promise((resolve) => setTimeout(resolve, 300));
    return {states, gathering: pc.iceGatheringState, events: events.slice(before), settled};
"""


def page_closes(mode):
    with Call("--ice", mode) as call:
        pairs = call.browser.run(WATCHED_START, {"audio": False})
        both_say(call, "connected", 10)
        eventually("floe has completed", lambda: call.session()["ice"] == "completed")
        eventually("the data channel speaks", lambda: call.session()["data"]["messages"])
        versions = call.versions()
        selected = call.session()["selected_pair"]
        check({"local": selected["remote"], "remote": selected["local"]} in pairs, f"{selected} is none of {pairs}")
        check("\r\na=end-of-candidates\r\n" in call.browser.run("return session.answer"), "the answer is not complete")
        equal("the first event", call.browser.run("return window.events")[0], "signalingstatechange")
        equal("a second answer", call.browser.run(SECOND_ANSWER), "InvalidStateError")
        both_say(call, "connected", 1)
        begins_well(call, mode)
        closed = call.browser.run(CLOSE)
        equal("the states", closed["states"], 5 * ["closed"])
        equal("the gathering state", closed["gathering"], "complete")
        equal("events after it", closed["events"], [])
        equal("the pending promise was settled", closed["settled"], False)
        equal("floe's reason", eventually("it ended", lambda: call.session()["end_reason"], 3), "closed by the other side")
        equal("floe DTLS", call.floe("dtls"), GOLDEN["dtls"] + ["closed"])
        return versions


# req: R54 R79 R80 R81 R82 R83 W6 W8 W13 W14 W25 W33 W36 W37 W43 W67
@row("Chromium", "the page closes its connection and says no more; floe full")
def chromium_closes_by_dtls_alone_with_floe_full():
    return page_closes("full")


# req: R54 R79 R80 R82 R83 W6 W8 W14 W25 W33 W36 W37 W43 W67
@row("Chromium", "the page closes its connection and says no more; floe lite")
def chromium_closes_by_dtls_alone_with_floe_lite():
    return page_closes("lite")


# req: R54 W37
@row("Chromium", "the server ends the one session")
def chromium_sees_its_session_end():
    with Call() as call:
        call.connect(audio=False)
        versions = call.versions()
        status = call.browser.run("return (await fetch(session.url, {method: 'DELETE'})).status")
        equal("the status of DELETE", status, 200)
        eventually("the page's DTLS transport closes", lambda: call.page()["dtls"][-1] == "closed", 3)
        equal("page DTLS", call.page()["dtls"], GOLDEN["dtls"] + ["closed"])
        eventually("the data channel closes", lambda: call.browser.run("return session.messages.state") == "closed", 3)
        equal("floe's reason", call.session()["end_reason"], "ended by DELETE")
        equal("floe DTLS", call.floe("dtls"), GOLDEN["dtls"] + ["closed"])
        return versions
