"""GnuTLS's command-line programs against `dtls_echo`: floe on either side, DTLS 1.2 over loopback sockets.

`gnutls-serv` asks for a cookie, sends each message in a datagram of its own, echoes, and says nothing about keys.
"""

import subprocess

import echo
from case import Program, check, equal, row
from echo import RSA, Identities, at_every_mtu

SRTP = ("SRTP_AES128_CM_HMAC_SHA1_80", ("SRTP profile: ", "SRTP_AES128_CM_HMAC_SHA1_80"))
OPTIONS = ["--udp", "--priority", "NORMAL:-VERS-ALL:+VERS-DTLS1.2", f"--srtp-profiles={SRTP[0]}"]


def version():
    text = subprocess.run(["gnutls-cli", "--version"], check=True, capture_output=True, text=True).stdout
    return text.split()[1]


def own(identities):
    return ["--x509certfile", identities.path("peer", "crt"), "--x509keyfile", identities.path("peer", "key")]


def cli(port, identities, *options):
    # Floe's certificate is one without a name that could be checked; whose it is is compared by the story.
    return Program(
        "gnutls", "gnutls-cli", *OPTIONS, "--insecure", "--port", port, *own(identities), *options, "127.0.0.1"
    )


def serv(port, identities, *options):
    peer = Program(
        "gnutls", "gnutls-serv", *OPTIONS, "--port", port, "--echo", *own(identities), "--require-client-cert",
        "--verify-client-cert", "--x509cafile", identities.path("floe", "crt"), *options,
    )
    peer.line("listening on IPv4")
    return peer


def floe_serves(mtu, *options, **keys):
    with Identities(**keys) as identities:
        options = ["--export-srtp", "--mtu", mtu, *options]
        floe, port = echo.floe_server(identities, identities.fingerprint("peer"), *options)
        exporter = ["--keymatexport=EXTRACTOR-dtls_srtp", "--keymatexportsize=60"]
        with floe, cli(port, identities, "--mtu", mtu, *exporter) as peer:
            agreed = echo.same_keys(floe, peer, SRTP, 60)
            peer.line("Options: extended master secret")
            peer.line("Handshake was completed")
            peer.write("as the dew")
            floe.line("^received as the dew")
            peer.line("^as the dew")  # what was echoed
            peer.process.stdin.close()  # its way of being told to close
            floe.line("^closed")
            equal("floe's exit status", floe.ends(), 0)
            return f"{version()}, {agreed}"


def floe_connects(mtu, **keys):
    with Identities(**keys) as identities:
        port = echo.own_port()
        with serv(port, identities, "--mtu", mtu) as peer, echo.floe_client(
            identities, identities.fingerprint("peer"), port, "--export-srtp", "--mtu", mtu, "--send", "as the dew"
        ) as floe:
            agreed = floe.line("^connected (.*)")[1]
            equal("profile at floe", floe.line("^srtp (.*)")[1], SRTP[0])
            peer.line("as the dew")
            floe.line("^received as the dew")
            equal("floe's exit status", floe.ends(), 0)
            return f"{version()}, {agreed}"


# req: T64
@row("gnutls-cli", "client, MTU 256, 900, 1200")
def gnutls_client():
    return at_every_mtu(floe_serves)


# req: T64
@row("gnutls-serv", "server, HelloVerifyRequest, MTU 256, 900, 1200")
def gnutls_server():
    return at_every_mtu(floe_connects)


# req: T9 T64
@row("gnutls-cli", "client, cookie of floe, MTU 256, 900, 1200")
def gnutls_client_cookie():
    return at_every_mtu(floe_serves, "--cookies")


# req: T64
@row("gnutls-cli", "client, certificates of RSA")
def gnutls_client_rsa():
    return floe_serves(256, floe=RSA, peer=RSA)


# req: T64
@row("gnutls-serv", "server, certificates of RSA")
def gnutls_server_rsa():
    return floe_connects(256, floe=RSA, peer=RSA)


# req: T6 T64
@row("gnutls-cli", "client; wrong fingerprint")
def gnutls_client_with_a_wrong_fingerprint_is_refused():
    with Identities() as identities:
        floe, port = echo.floe_server(identities, identities.fingerprint("floe"))
        with floe, cli(port, identities) as peer:
            reason = floe.line("^failed (.*)")[1]
            equal("floe's exit status", floe.ends(), 1)
            peer.line("alert")
            check(not floe.find("^(connected|keying-material)"), "floe connected")
            check(not peer.find("Handshake was completed"), "the peer connected")
            return f"{version()}; failed: {reason}"


# req: T6 T64
@row("gnutls-serv", "server; wrong fingerprint")
def gnutls_server_with_a_wrong_fingerprint_is_refused():
    with Identities() as identities:
        port = echo.own_port()
        with serv(port, identities) as peer, echo.floe_client(identities, identities.fingerprint("floe"), port) as floe:
            reason = floe.line("^failed (.*)")[1]
            equal("floe's exit status", floe.ends(), 1)
            check(not floe.find("^(connected|keying-material)"), "floe connected")
            check(not peer.find("as the dew"), "the peer connected")
            return f"{version()}; failed: {reason}"


# req: T23
@row("gnutls-serv", "server; refuses floe's certificate")
def gnutls_server_that_refuses_floe_is_reported():
    with Identities() as identities:
        port = echo.own_port()
        trusted = ["--x509cafile", identities.path("peer", "crt")]
        with serv(port, identities, *trusted), echo.floe_client(
            identities, identities.fingerprint("peer"), port, "--send", "as the dew"
        ) as floe:
            reason = floe.line("^failed (.*)")[1]
            equal("floe's exit status", floe.ends(), 1)
            check(not floe.find("^received"), "floe was heard")
            return f"{version()}; failed: {reason}"
