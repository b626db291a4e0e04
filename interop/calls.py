"""Chromium's page and floe in a call: offers of either side over a WebSocket, the page polite.

What floe offers has a transport of its own; what the page offers is bundled, as Chromium does it. At each step both are stable and
agree about the connection, its transports and which sections take part, and floe's recovery machine, which drives restarts, agrees
with its own connection (no drift).
"""

import contextlib

from case import check, equal, eventually, row
from chromium import Call
from scenarios import GOLDEN, QUIET, cut

USERNAME_FRAGMENTS = """
    const report = [...(await floe.call.pc.getStats()).values()];
    const pairs = report.filter((entry) => entry.type === 'transport').map((transport) => transport.selectedCandidatePairId);
    const local = report.filter((entry) => pairs.includes(entry.id)).map((pair) => pair.localCandidateId);
    return report.filter((entry) => local.includes(entry.id)).map((candidate) => candidate.usernameFragment).sort();
"""

# The name and the kind of each section that takes part, in either description: port 0 rejects it (RFC 8829 §5.3.1), unless another
# section's transport carries it (RFC 9143 §6).
SECTIONS = """
    const live = (section) => !/^m=\\S+ 0 /.test(section) || /^a=bundle-only/m.test(section);
    const named = (section) => [/^a=mid:(\\S+)/m.exec(section)[1], /^m=(\\S+)/.exec(section)[1]];
    return [floe.call.pc.currentLocalDescription, floe.call.pc.currentRemoteDescription]
        .map(({sdp}) => sdp.split(/^(?=m=)/m).slice(1).filter(live).map(named));
"""
TRANSCEIVERS = "return floe.call.pc.getTransceivers().map((transceiver) => !['stopped', null].includes(transceiver.currentDirection))"


class Phone:
    """The page's call, and the same call as floe sees it."""

    def __init__(self, call):
        self.call, self.run = call, call.browser.run

    def page(self):
        return self.run("return floe.call.states")

    def floe(self):
        return self.call.server.call()

    def told(self, what):
        """Every state that floe told of this, oldest first."""
        entries = [entry for entry in self.floe()["timeline"] if entry["what"] == what]
        return [entry["from"] for entry in entries[:1]] + [entry["to"] for entry in entries]

    def notes(self, what):
        return [entry["to"] for entry in self.floe()["timeline"] if entry["what"] == what]

    def rests(self, transports):
        """Nobody negotiates, and so many transports are connected at both ends."""
        page, floe = self.page(), self.floe()
        alive = [seen for seen in page["transports"] if seen["dtls"][-1] == "connected"]
        return (
            (page["signaling"][-1], floe["signaling"], floe["negotiation"]) == ("stable", "stable", "idle")
            and (page["connection"][-1], floe["connection"], floe["recovery"]) == 3 * ("connected",)
            and (len(alive), [leg["dtls"] for leg in floe["transports"]]) == (transports, transports * ["connected"])
        )

    def settles(self, transports, seconds=10):
        eventually(f"both rest with {transports} transports", lambda: self.rests(transports), seconds)
        equal("the page's errors", self.run("return floe.call.errors"), [])
        equal("drifts at floe", self.notes("drift"), [])
        for leg in self.floe()["transports"]:
            check(leg["ice"] in ("connected", "completed"), f"transport {leg['mid']}: ICE {leg['ice']}")

    def carries(self, data, audio):
        """So many sections take part at both ends; what either has rejected does not."""
        in_both = self.run(SECTIONS)
        for described in in_both:
            kinds = [kind for _, kind in described]
            equal("the page's sections", (kinds.count("application"), kinds.count("audio"), len(kinds)), (data, audio, data + audio))
            equal("floe's sections", self.floe()["sections"], [mid for mid, _ in described])
        equal("the page's transceivers", self.run(TRANSCEIVERS), audio * [True])

    def fragments(self):
        """Those of the candidates that the page's selected pairs begin with."""
        return self.run(USERNAME_FRAGMENTS)


@contextlib.contextmanager
def talking(*options, **where):
    """A call with data, connected."""
    with Call(*options, **where) as call:
        phone = Phone(call)
        try:
            call.browser.run("return floe.call.open({audio: false})")
            phone.settles(1)
            yield phone
        finally:
            print("the page:", call._quietly(phone.page))
            print("floe:", call._quietly(phone.floe))


def versions(phone):
    return f"{phone.call.browser.version}, {phone.floe()['transports'][0]['dtls_version']}"


# req: R67 W7 W32
@row("Chromium", "a call: floe offers a second transport, the page bundles it", seconds=60)
def floe_offers_a_second_transport():
    with talking() as phone:
        phone.run("return floe.call.ask('audio')")
        eventually("floe has offered", lambda: "have-local-offer" in phone.told("signaling"))
        phone.settles(2)
        page, again = phone.page(), GOLDEN["connection"] + ["connecting", "connected"]
        equal("page signaling", page["signaling"], GOLDEN["signaling"] + ["have-remote-offer", "stable"])
        equal("floe signaling", phone.told("signaling"), ["stable", "have-remote-offer", "stable", "have-local-offer", "stable"])
        equal("page connection", page["connection"], again)
        equal("floe connection", phone.told("connection"), again)
        for seen in page["transports"]:
            equal("a page's transport", seen, {"dtls": GOLDEN["dtls"], "ice": GOLDEN["iceTransport"]})
        phone.run("return floe.call.add('audio')")
        eventually("media flows", lambda: sum(leg["media"]["datagrams"] for leg in phone.floe()["transports"]) > 10)
        phone.settles(1)
        page = phone.page()
        equal("the second transport", page["transports"][1]["dtls"], GOLDEN["dtls"] + ["closed"])
        equal("page connection", page["connection"], again)
        equal("floe connection", phone.told("connection"), again)
        return versions(phone)


# What the server says takes a second to the page, so that, however busy the machine, an offer of the page's leaves before it has heard
# of the server's.
LATE = """
    const {link} = floe.call, hear = link.hear.bind(link);
    link.hear = (envelope) => setTimeout(hear, 1000, envelope);
"""
# floe has offered before the page does, which hears of it a second late.
BOTH_OFFER = """
    floe.call.ask('audio');
    return new Promise(later => setTimeout(later, 200)).then(() => floe.call.add('audio'));
"""


@row("Chromium", "a call: offers cross, and the page is polite", seconds=60)
def offers_cross():
    rounds = 4
    with talking() as phone:
        phone.run(LATE)
        for crossed in range(1, rounds + 1):
            before = len(phone.page()["signaling"])
            phone.run(BOTH_OFFER)
            glares = lambda: phone.notes("negotiation").count("offer discarded: glare")
            eventually("floe has discarded the page's offer", lambda: glares() == crossed)
            gone_through = lambda: phone.page()["signaling"][before:]
            eventually("the page has offered again", lambda: gone_through()[-2:] == ["have-local-offer", "stable"] and len(gone_through()) >= 6)
            # Its own offer is rolled back for floe's, and made again.
            equal("page signaling", gone_through(), ["have-local-offer", "stable", "have-remote-offer", "stable", "have-local-offer", "stable"])
            eventually("both rest", lambda: phone.rests(1))
            phone.carries(data=1, audio=2 * crossed)
        phone.settles(1)
        for who, said in ("page", phone.page()["connection"]), ("floe", phone.told("connection")):
            check(not {"failed", "disconnected"} & set(said), f"{who} connection: {said}")
        return f"{versions(phone)}; {rounds} times"


@row("Chromium", "a call: sections of either side, in turn, stay", seconds=60)
def sections_stay():
    # What the page offers next bundles what floe has offered.
    turns = ("floe.call.ask('audio')", 2), ("return floe.call.add('audio')", 1)
    with talking() as phone:
        for audio, (turn, transports) in enumerate(2 * turns, 1):
            phone.run(turn)
            eventually("floe has the section", lambda: len(phone.floe()["sections"]) == 1 + audio)
            phone.settles(transports)
            phone.carries(data=1, audio=audio)
        return versions(phone)


# req: I15
@row("Chromium", "a call: ICE restarts from either side")
def either_side_restarts():
    with talking() as phone:
        for restart in ("floe.call.ask('restart')", "floe.call.restart()") * 2:
            old = phone.fragments()
            phone.run(restart)
            eventually("a new generation is selected", lambda: phone.fragments() != old)
            phone.settles(1)
        for who, said in ("page", phone.page()["connection"]), ("floe", phone.told("connection")):
            equal(f"{who} connection", said, GOLDEN["connection"])
        equal("page transports", [seen["dtls"] for seen in phone.page()["transports"]], [GOLDEN["dtls"]])
        equal("floe DTLS", phone.told("dtls"), GOLDEN["dtls"])
        offers = ["have-local-offer", "stable"], ["have-remote-offer", "stable"]
        equal("page signaling", phone.page()["signaling"], GOLDEN["signaling"] + 2 * (offers[1] + offers[0]))
        return versions(phone)


# req: R8
@row("Chromium", "a call: the channel breaks and is resumed", seconds=60)
def the_channel_breaks():
    with talking() as phone:
        phone.run("floe.call.breakChannel(); return floe.call.add('audio')")
        eventually("floe sees it", lambda: "down" in phone.told("link"))
        eventually("it is up again", lambda: phone.page()["link"][-1] == "up", 20)
        equal("page channel", phone.page()["link"], ["connecting", "greeting", "up", "down", "connecting", "greeting", "up"])
        equal("floe channel", phone.told("link")[-3:], ["up", "down", "up"])
        eventually("what was offered meanwhile flows", lambda: phone.floe()["transports"][0]["media"]["datagrams"] > 10)
        phone.settles(1)
        for who, said in ("page", phone.page()["connection"]), ("floe", phone.told("connection")):
            equal(f"{who} connection", said, GOLDEN["connection"])
        return versions(phone)


@row("Chromium", "a call: the page leaves")
def the_page_leaves():
    with talking() as phone:
        agreed = versions(phone)
        phone.run("return floe.call.leave()")
        reason = eventually("floe ended the call", lambda: phone.floe()["disconnect_reason"], 3)
        equal("the end", reason, "CLIENT_INITIATED")
        equal("floe's machines", [phone.floe()[what] for what in ("connection", "signaling", "link")], 3 * ["closed"])
        return agreed


@row("Chromium", "a call: the server removes the page")
def the_page_is_removed():
    with talking() as phone:
        agreed = versions(phone)
        phone.run("return floe.call.ask('remove')")
        left = eventually("the page is told", lambda: phone.run("return floe.call.left"), 3)
        equal("what the page was told", left["reason"], phone.floe()["disconnect_reason"])
        equal("the end", left["reason"], "PARTICIPANT_REMOVED")
        equal("page connection", phone.run("return floe.call.pc.connectionState"), "closed")
        equal("floe's machines", [phone.floe()[what] for what in ("connection", "signaling", "link")], 3 * ["closed"])
        return agreed


# req: R157
@row("Chromium", "a call: the network is cut, and recovers by floe's restart", seconds=75)
def a_call_recovers():
    address = "127.0.15.1"
    with talking(flags=QUIET, bind=(address,)) as phone:
        with cut(address):
            eventually("floe recovers", lambda: phone.floe()["recovery"] == "disconnected", 25)
            equal("floe connection", phone.floe()["connection"], "disconnected")
            eventually("floe has offered", lambda: "have-local-offer" in phone.told("signaling"))
            eventually("the page has answered", lambda: phone.floe()["signaling"] == "stable")
        phone.settles(1, 20)
        equal("offers of floe", phone.told("signaling").count("have-local-offer"), 1)
        equal("floe recovery", phone.told("recovery"), [*GOLDEN["connection"], "disconnected", "failed", "connecting", "connected"])
        said = phone.page()["connection"]
        equal("page connection", [said[:4], said[-1]], [[*GOLDEN["connection"], "disconnected"], "connected"])
        equal("floe DTLS", phone.told("dtls"), GOLDEN["dtls"])
        return versions(phone)
