"""The example `dtls_echo` on one side of a loopback socket, a program of somebody else's on the other.

Both ends authenticate; the SRTP profile and the exported keying material (RFC 5764 §4.2) must be equal on both.
"""

import os
import subprocess
import tempfile

from case import TOP, Program, equal

ECHO = os.path.join(TOP, "target/release/examples/dtls_echo")
MTUS = (256, 900, 1200)
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
P384 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")
RSA = ("rsa:2048",)


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


class Identities:
    """Two self-signed certificates in a folder that goes with the `with` block."""

    def __init__(self, floe=P256, peer=P256):
        self.keys = {"floe": floe, "peer": peer}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="floe-interop-")
        for name, key in self.keys.items():
            openssl(
                "req", "-x509", "-newkey", *key, "-nodes", "-subj", "/CN=WebRTC", "-days", "1",
                "-keyout", self.path(name, "key"), "-out", self.path(name, "crt"),
            )
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def path(self, name, kind):
        return os.path.join(self.folder.name, f"{name}.{kind}")

    def fingerprint(self, name):
        text = openssl("x509", "-in", self.path(name, "crt"), "-noout", "-fingerprint", "-sha256")
        return "sha-256 " + text.strip().partition("=")[2]

    def floe(self, fingerprint):
        return ["--cert", self.path("floe", "crt"), "--key", self.path("floe", "key"), "--fingerprint", fingerprint]


def at_every_mtu(story, *options):
    """Tells `story` at each MTU, and says what it said first."""
    return [story(mtu, *options) for mtu in MTUS][0]


def own_port():
    """A port of this row's own, below those that the kernel hands out: nobody takes it before it is used."""
    return 20_000 + os.getpid() % 10_000


def floe_server(identities, fingerprint, *options):
    floe = Program("floe", ECHO, "--server", "127.0.0.1:0", *identities.floe(fingerprint), "--timeout", 15, *options)
    return floe, floe.line(r"listening 127\.0\.0\.1:(\d+)")[1]


def floe_client(identities, fingerprint, port, *options):
    address = f"127.0.0.1:{port}"
    return Program("floe", ECHO, "--client", address, *identities.floe(fingerprint), "--timeout", 15, *options)


def same_keys(floe, peer, profile, length):
    """Both ends agree on the profile (at floe, at the peer) and on the keying material; returns what was negotiated."""
    agreed = floe.line(r"^connected (.*)")[1]
    at_floe, (name, at_peer) = profile
    equal("profile at floe", floe.line("^srtp (.*)")[1], at_floe)
    equal("profile at the peer", peer.line(f"{name}(SRTP_.*)")[1], at_peer)
    material = peer.line("(?i)Key(?:ing)? material: ([0-9A-F]+)")[1].upper()
    equal("length of the keying material", len(material), 2 * length)
    equal("keying material at floe", floe.line("^keying-material (.*)")[1].upper(), material)
    return agreed
