"""The OpenSSL command-line programs against `dtls_echo`: floe on either side, DTLS 1.2 over loopback sockets."""

import echo
from case import Program, check, equal, row
from echo import P384, RSA, Identities, at_every_mtu

PROFILE = "SRTP_AEAD_AES_128_GCM"
SRTP = (PROFILE, ("SRTP Extension negotiated, profile=", PROFILE))
KEYING = ["-use_srtp", f"{PROFILE}:SRTP_AES128_CM_SHA1_80", "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"]


def version():
    return echo.openssl("version").split()[1]


def own(identities, trusted="floe"):
    """Its own identity, and the one certificate that it accepts."""
    return [
        "-cert", identities.path("peer", "crt"), "-key", identities.path("peer", "key"),
        "-CAfile", identities.path(trusted, "crt"),
    ]


def s_client(port, *options):
    return Program("openssl", "openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-timeout", *options)


def s_server(port, *options):
    peer = Program(
        "openssl", "openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-timeout", "-naccept", 1,
        "-Verify", 1, "-verify_return_error", *options,
    )
    peer.line("^ACCEPT")
    return peer


def floe_serves(mtu, *options, **keys):
    with Identities(**keys) as identities:
        options = ["--export-srtp", "--mtu", mtu, *options]
        floe, port = echo.floe_server(identities, identities.fingerprint("peer"), *options)
        with floe, s_client(port, *own(identities), "-verify_return_error", "-mtu", mtu, *KEYING) as peer:
            agreed = echo.same_keys(floe, peer, SRTP, 56)
            peer.line("Extended master secret: yes")
            peer.write("as the dew")
            floe.line("^received as the dew")
            peer.line("^as the dew")  # what was echoed
            peer.write("Q")
            floe.line("^closed")
            equal("floe's exit status", floe.ends(), 0)
            return f"{version()}, {agreed}"


def floe_connects(mtu, *options, **keys):
    with Identities(**keys) as identities:
        port = echo.own_port()
        fingerprint = identities.fingerprint("peer")
        with s_server(port, *own(identities), "-mtu", mtu, *KEYING, *options) as peer, echo.floe_client(
            identities, fingerprint, port, "--export-srtp", "--mtu", mtu, "--send", "as the dew"
        ) as floe:
            agreed = echo.same_keys(floe, peer, SRTP, 56)
            peer.line("^as the dew")
            peer.write("as the dew")  # s_server does not echo by itself
            floe.line("^received as the dew")
            equal("floe's exit status", floe.ends(), 0)
            return f"{version()}, {agreed}"


# req: T64
@row("OpenSSL s_client", "client, MTU 256, 900, 1200")
def openssl_client():
    return at_every_mtu(floe_serves)


# req: T64
@row("OpenSSL s_server", "server, MTU 256, 900, 1200")
def openssl_server():
    return at_every_mtu(floe_connects)


# req: T64
@row("OpenSSL s_server", "server, HelloVerifyRequest, MTU 256, 900, 1200")
def openssl_server_hello_verify_request():
    return at_every_mtu(floe_connects, "-listen")


# req: T9 T64
@row("OpenSSL s_client", "client, cookie of floe, MTU 256, 900, 1200")
def openssl_client_cookie():
    return at_every_mtu(floe_serves, "--cookies")


# req: T64
@row("OpenSSL s_client", "client, certificates of RSA")
def openssl_client_rsa():
    return floe_serves(256, floe=RSA, peer=RSA)


# req: T64
@row("OpenSSL s_server", "server, certificates of RSA")
def openssl_server_rsa():
    return floe_connects(256, floe=RSA, peer=RSA)


# req: T64
@row("OpenSSL s_client", "client, certificates of P-384")
def openssl_client_p384():
    return floe_serves(900, floe=P384, peer=P384)


# req: T64
@row("OpenSSL s_server", "server, certificates of P-384")
def openssl_server_p384():
    return floe_connects(900, floe=P384, peer=P384)


# req: T6
@row("OpenSSL s_client", "client; wrong fingerprint")
def openssl_client_with_a_wrong_fingerprint_is_refused():
    with Identities() as identities:
        floe, port = echo.floe_server(identities, identities.fingerprint("floe"))
        with floe, s_client(port, *own(identities)) as peer:
            reason = floe.line("^failed (.*)")[1]
            equal("floe's exit status", floe.ends(), 1)
            peer.line("alert")
            check(peer.ends() != 0, "the peer connected")
            check(not floe.find("^(connected|keying-material)"), "floe connected")
            return f"{version()}; failed: {reason}"


# req: T6
@row("OpenSSL s_server", "server; wrong fingerprint")
def openssl_server_with_a_wrong_fingerprint_is_refused():
    with Identities() as identities:
        port = echo.own_port()
        with s_server(port, *own(identities)) as peer, echo.floe_client(
            identities, identities.fingerprint("floe"), port
        ) as floe:
            reason = floe.line("^failed (.*)")[1]
            equal("floe's exit status", floe.ends(), 1)
            peer.line("alert")
            check(not floe.find("^(connected|keying-material)"), "floe connected")
            check(not peer.find("CIPHER is"), "the peer connected")
            return f"{version()}; failed: {reason}"


# req: T23
@row("OpenSSL s_client", "client; refuses floe's certificate")
def openssl_client_that_refuses_floe_is_reported():
    with Identities() as identities:
        floe, port = echo.floe_server(identities, identities.fingerprint("peer"))
        with floe, s_client(port, *own(identities, trusted="peer"), "-verify_return_error"):
            reason = floe.line("^failed (.*)")[1]
            check(not floe.find("^connected"), "floe connected")
            equal("floe's exit status", floe.ends(), 1)
            return f"{version()}; failed: {reason}"
