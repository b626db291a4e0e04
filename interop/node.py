"""The WebRTC implementations of npm against the example `media_server`: libwebrtc, libdatachannel, and one in TypeScript.

Each runs in a process of its own (`node/peer.mjs`) that tells what it sees: it offers by WHIP, or answers in a call. They read
their state when its event arrives, so a state that was soon over may be missing from what they tell; floe's own list is whole.
"""

import functools
import itertools
import json
import os
import time

from case import TOP, Program, check, equal, eventually, row
from media_server import CallServer, MediaServer

PEER = os.path.join(TOP, "interop/node/peer.mjs")
PEERS = {"wrtc": "@roamhq/wrtc", "node-datachannel": "node-datachannel", "werift": "werift"}
WIRE_VERSIONS = {"DTLS 1.2": ("FEFD", "DTLS 1.2")}  # libwebrtc's word, werift's word
OTHER_SIDE = {"client": "server", "server": "client"}
OTHER_ROLE = {"controlling": "controlled", "controlled": "controlling"}
SETUP = {"client": "passive", "server": "active"}  # what floe takes if the peer is to be this
# Only libwebrtc always says goodbye in DTLS. libdatachannel may be too late with it, and werift never does: that they are gone
# shows in consent alone.
SAYS_GOODBYE = {"wrtc": (True,), "node-datachannel": (True, False), "werift": (False,)}
NOTICED = 15  # seconds within which a silent peer is missed
UNHEARD = {"full": "consent checks go unanswered", "lite": "the peer has stopped sending checks"}


class Peer(Program):
    """A peer that has begun to offer or to answer."""

    def __init__(self, name, role, server, *setup):
        super().__init__(name, "node", PEER, name, role, server.url, *setup)

    def states(self, what):
        """Every state that it told of this object, oldest first."""
        told = [line.split() for line in list(self.lines)]
        return [words[2] for words in told if words[:2] == ["state", what]]

    def facts(self):
        """What its statistics say of the transport."""
        asked = len(self.lines)
        self.write("facts")
        told = lambda: [line for line in self.lines[asked:] if line.startswith("facts ")]
        return json.loads(eventually(f"{self.name} tells facts", told)[0].removeprefix("facts "))

    def echoes(self, text):
        """What it says over the data channel comes back."""
        self.write(f"say {text}")
        self.line(f"^echo {text}$")


def connects(server, peer):
    """Both are connected and data goes there and back; returns the versions."""
    peer.line("^open$")
    eventually("the peer says connected", lambda: peer.states("connection")[-1] == "connected")
    eventually("floe says connected", lambda: server.session()["connection"] == "connected")
    eventually("floe has completed", lambda: server.session()["ice"] == "completed")
    peer.echoes("as-the-dew")
    return f"{peer.find('^version (.*)')[1]}, {server.agreed()}"


def begins_well(server, peer, gathering):
    """What both ends told of the beginning, in order."""
    equal("floe's gathering", server.states("gathering"), gathering)
    # The pair may be final at once.
    connected = ["connected"] if "connected" in server.states("ice") else []
    for what in ("ice", "ice_connection"):
        equal(f"floe's {what}", server.states(what), ["new", "checking", *connected, "completed"])
    equal("floe's DTLS", server.states("dtls"), ["new", "connecting", "connected"])
    equal("floe's connection", server.states("connection"), ["new", "connecting", "connected"])
    for what in ("connection", "iceConnection", "dtls"):
        told = peer.states(what)
        print(f"the peer's {what}:", told)
        check(not {"failed", "disconnected", "closed"} & set(told), f"the peer's {what} is {told}")


def agree(server, peer, side, ice_role):
    """Both ends name the same version, cipher suite and sides, as far as the peer tells them."""
    session, facts = server.session(), peer.facts()
    equal("floe's version", session["dtls_version"], "DTLS 1.2")
    equal("floe's DTLS side", session["dtls_side"], OTHER_SIDE[side])
    equal("floe's ICE role", session["ice_role"], OTHER_ROLE[ice_role])
    expected = {"dtlsRole": side, "iceRole": ice_role, "dtlsCipher": session["cipher_suite"]}
    for fact in expected.keys() & facts.keys():
        equal(f"the peer's {fact}", facts[fact], expected[fact])
    if "tlsVersion" in facts:
        check(facts["tlsVersion"] in WIRE_VERSIONS["DTLS 1.2"], f"the peer's version is {facts['tlsVersion']}")


def floe_closes(server, peer):
    """Its close_notify reaches the peer: what it carried is closed there, long before consent could be missed."""
    server.interrupt()
    peer.line("^closed$", 3)
    equal("floe's exit status", server.ends(), 0)
    if peer.name == "werift":
        eventually("the peer's DTLS closes", lambda: peer.states("dtls")[-1] == "closed", 3)
        equal("the peer's DTLS", peer.states("dtls"), ["new", "connecting", "connected", "closed"])
    if peer.name == "node-datachannel":
        eventually("the peer says closed", lambda: peer.states("connection")[-1] == "closed")


def peer_closes(server, peer, mode):
    """By its close_notify, or else because it is heard no more."""
    peer.write("close")
    peer.line("^done close$")
    closed = time.monotonic()
    eventually("the peer says closed", lambda: peer.states("connection")[-1] == "closed")
    session = eventually("floe knows", lambda: is_gone(server.session()), NOTICED)
    said_goodbye = session["end_reason"] is not None
    check(said_goodbye in SAYS_GOODBYE[peer.name], f"said goodbye: {said_goodbye}")
    if said_goodbye:
        equal("the end", session["end_reason"], "closed by the other side")
        equal("floe's DTLS", server.states("dtls"), ["new", "connecting", "connected", "closed"])
        return "said goodbye"
    seconds = time.monotonic() - closed
    equal("floe's ICE", server.states("ice")[-2:], ["completed", "disconnected"])
    reason = [entry["reason"] for entry in session["timeline"] if entry["what"] == "ice"][-1]
    equal("the reason", reason, UNHEARD[mode])
    return f"missed after {seconds:.1f} s"


def is_gone(session):
    return (session["end_reason"] or session["connection"] == "disconnected") and session


# req: T64 R80 R82 R83 R84 R85 W3 W4 W10 W35 W37
def offers(name, mode, side):
    """The peer offers and controls. As a DTLS server it is the one that closes in the end, as a client it is floe."""
    with MediaServer("--ice", mode, "--dtls", SETUP[side]) as server, Peer(name, "offer", server) as peer:
        versions = connects(server, peer)
        begins_well(server, peer, ["new", "gathering", "complete"])
        equal("the peer's signaling", peer.states("signaling"), ["stable", "have-local-offer", "stable"])
        agree(server, peer, side, "controlling")
        if side == "client":
            floe_closes(server, peer)
            return versions
        return f"{versions}; {peer_closes(server, peer, mode)}"


# req: T64 R82 R83 R84 R85 W3 W34 W35
def answers(name, mode, side):
    """Asked for data channels in a call without any, floe offers them; a full floe controls, a lite one never does (RFC 8445 §6.1.1)."""
    with CallServer("--ice", mode) as server, Peer(name, "answer", server, SETUP[side]) as peer:
        versions = connects(server, peer)
        begins_well(server, peer, ["new", "complete"])  # the offer has every candidate
        equal("floe's signaling", server.states("signaling"), ["stable", "have-local-offer", "stable"])
        offered = [] if name == "node-datachannel" else ["have-remote-offer", "stable"]  # its answer is a part of being offered
        equal("the peer's signaling", peer.states("signaling"), ["stable", *offered])
        agree(server, peer, side, "controlled" if mode == "full" else "controlling")
        floe_closes(server, peer)
        return versions


_rows = itertools.product((offers, answers), PEERS)
for (_story, _name), _mode, _side in itertools.product(_rows, ("full", "lite"), ("client", "server")):
    _key = f"{_name.replace('-', '_')}_{_story.__name__}_as_dtls_{_side}_to_floe_{_mode}"
    _role = f"{_story.__name__}, DTLS {_side}; floe {_mode}"
    row(PEERS[_name], _role, name=_key)(functools.partial(_story, _name, _mode, _side))


def restarts(name, mode):
    with MediaServer("--ice", mode) as server, Peer(name, "offer", server) as peer:
        versions = connects(server, peer)
        for generation in (1, 2):
            peer.write("restart")
            eventually("the new generation is confirmed", lambda: server.restarts_confirmed() >= generation)
            eventually("floe has completed", lambda: server.session()["ice"] == "completed")
            peer.echoes(f"in-generation-{generation}")
        equal("restarts", server.session()["ice_restarts"], 2)
        equal("floe's connection", server.states("connection"), ["new", "connecting", "connected"])
        equal("floe's DTLS", server.states("dtls"), ["new", "connecting", "connected"])
        equal("the peer's connection", peer.states("connection")[-1], "connected")
        return versions


# req: I15
@row("@roamhq/wrtc", "restarts ICE twice; floe full")
def wrtc_restarts_ice_with_floe_full():
    return restarts("wrtc", "full")


# req: I15
@row("@roamhq/wrtc", "restarts ICE twice; floe lite")
def wrtc_restarts_ice_with_floe_lite():
    return restarts("wrtc", "lite")


# req: I15
@row("werift", "restarts ICE twice; floe full")
def werift_restarts_ice_with_floe_full():
    return restarts("werift", "full")


# req: I15
@row("werift", "restarts ICE twice; floe lite")
def werift_restarts_ice_with_floe_lite():
    return restarts("werift", "lite")
