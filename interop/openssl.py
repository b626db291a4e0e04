"""The OpenSSL command-line programs against `dtls_echo`: floe on either side, DTLS 1.2 over loopback sockets.

Both ends authenticate; the SRTP profile and the exported keying material (RFC 5764 §4.2) must be equal on both.
"""

import os
import subprocess
import tempfile

from case import TOP, Program, check, equal, row

ECHO = os.path.join(TOP, "target/release/examples/dtls_echo")
PROFILE = "SRTP_AEAD_AES_128_GCM"
KEYING = ["-use_srtp", f"{PROFILE}:SRTP_AES128_CM_SHA1_80", "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"]


class Identities:
    """Two self-signed P-256 certificates in a folder that goes with the `with` block."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="floe-interop-")
        for name in ("floe", "peer"):
            openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=WebRTC",
                "-days", "1", "-keyout", self.path(name, "key"), "-out", self.path(name, "crt"),
            )
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def path(self, name, kind):
        return os.path.join(self.folder.name, f"{name}.{kind}")

    def fingerprint(self, name):
        text = openssl("x509", "-in", self.path(name, "crt"), "-noout", "-fingerprint", "-sha256")
        return "sha-256 " + text.strip().partition("=")[2]

    def peer(self, trusted="floe"):
        """OpenSSL's options: its own identity, and the one certificate that it accepts."""
        return ["-cert", self.path("peer", "crt"), "-key", self.path("peer", "key"), "-CAfile", self.path(trusted, "crt")]

    def floe(self, fingerprint):
        return ["--cert", self.path("floe", "crt"), "--key", self.path("floe", "key"), "--fingerprint", fingerprint]


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def version():
    return openssl("version").split()[1]


def own_port():
    """A port of this row's own, below those that the kernel hands out: nobody takes it before it is used."""
    return 20_000 + os.getpid() % 10_000


def floe_server(identities, fingerprint, *options):
    floe = Program("floe", ECHO, "--server", "127.0.0.1:0", *identities.floe(fingerprint), "--timeout", 15, *options)
    return floe, floe.line(r"listening (127\.0\.0\.1:\d+)")[1]


def s_client(address, *options):
    return Program("openssl", "openssl", "s_client", "-dtls1_2", "-connect", address, "-timeout", *options)


def s_server(port, *options):
    peer = Program(
        "openssl", "openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-timeout", "-naccept", 1,
        "-Verify", 1, "-verify_return_error", *options,
    )
    peer.line("^ACCEPT")
    return peer


def same_keys(floe, peer):
    """Both ends agree on profile and keying material; returns what floe says was negotiated."""
    agreed = floe.line(r"^connected (.*)")[1]
    equal("profile at the peer", peer.line("SRTP Extension negotiated, profile=(.*)")[1], PROFILE)
    equal("profile at floe", floe.line("^srtp (.*)")[1], PROFILE)
    material = peer.line("Keying material: ([0-9A-F]+)")[1]
    equal("length of the keying material", len(material), 2 * 56)
    equal("keying material at floe", floe.line("^keying-material (.*)")[1].upper(), material)
    return agreed


def floe_serves(mtu):
    with Identities() as identities:
        floe, address = floe_server(identities, identities.fingerprint("peer"), "--export-srtp", "--mtu", mtu)
        with floe, s_client(address, *identities.peer(), "-verify_return_error", "-mtu", mtu, *KEYING) as peer:
            versions = same_keys(floe, peer)
            peer.line("Extended master secret: yes")
            peer.write("as the dew")
            floe.line("^received as the dew")
            peer.line("^as the dew")  # what was echoed
            peer.write("Q")
            floe.line("^closed")
            equal("floe's exit status", floe.ends(), 0)
            return f"{version()}, {versions}"


def floe_connects(mtu, *options):
    with Identities() as identities:
        port = own_port()
        peer = s_server(port, *identities.peer(), "-mtu", mtu, *KEYING, *options)
        with peer, Program(
            "floe", ECHO, "--client", f"127.0.0.1:{port}", *identities.floe(identities.fingerprint("peer")),
            "--timeout", 15, "--export-srtp", "--mtu", mtu, "--send", "as the dew",
        ) as floe:
            versions = same_keys(floe, peer)
            peer.line("^as the dew")
            peer.write("as the dew")  # s_server does not echo by itself
            floe.line("^received as the dew")
            equal("floe's exit status", floe.ends(), 0)
            return f"{version()}, {versions}"


# req: T64
@row("OpenSSL s_client", "client, MTU 1200")
def openssl_client():
    return floe_serves(1200)


# req: T64
@row("OpenSSL s_client", "client, MTU 256")
def openssl_client_small_mtu():
    return floe_serves(256)


# req: T64
@row("OpenSSL s_server", "server, MTU 1200")
def openssl_server():
    return floe_connects(1200)


# req: T64
@row("OpenSSL s_server", "server, HelloVerifyRequest")
def openssl_server_hello_verify_request():
    return floe_connects(1200, "-listen")


# req: T64
@row("OpenSSL s_server", "server, MTU 256")
def openssl_server_small_mtu():
    return floe_connects(256)


# req: T6
@row("OpenSSL s_client", "client; wrong fingerprint")
def openssl_client_with_a_wrong_fingerprint_is_refused():
    with Identities() as identities:
        floe, address = floe_server(identities, identities.fingerprint("floe"))
        with floe, s_client(address, *identities.peer()) as peer:
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
        port = own_port()
        with s_server(port, *identities.peer()) as peer, Program(
            "floe", ECHO, "--client", f"127.0.0.1:{port}", *identities.floe(identities.fingerprint("floe")), "--timeout", 15,
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
        floe, address = floe_server(identities, identities.fingerprint("peer"))
        with floe, s_client(address, *identities.peer(trusted="peer"), "-verify_return_error"):
            reason = floe.line("^failed (.*)")[1]
            check(not floe.find("^connected"), "floe connected")
            equal("floe's exit status", floe.ends(), 1)
            return f"{version()}; failed: {reason}"
