// The three implementations behind one face: W3C's RTCPeerConnection, and what each can tell of its DTLS transport.
//
// A peer is { version, connection, transport, facts }: `connection()` makes an RTCPeerConnection that gathers loopback
// addresses, `transport(pc)` is its RTCDtlsTransport, if it shows one, and `facts(pc)` are the statistics of that: `tlsVersion`,
// `dtlsCipher`, `dtlsRole`, `iceRole`, as far as it tells them. `answered(pc)` is what an answer needs, `restarted(pc)` what
// a restart needs, once both descriptions are set.

import { createRequire } from 'node:module';

export const load = createRequire(new URL('../.cache/node/package.json', import.meta.url));
const version = name => load('./package.json').dependencies[name];

const statistics = async pc => [...(await pc.getStats()).values()].find(entry => entry.type === 'transport') ?? {};

const wrtc = () => {
  const { RTCPeerConnection } = load('@roamhq/wrtc');
  return { version: version('@roamhq/wrtc'), connection: () => new RTCPeerConnection({ iceServers: [] }), transport: pc => pc.sctp.transport, facts: statistics };
};

const werift = () => {
  const { RTCPeerConnection } = load('werift');
  const addresses = { iceAdditionalHostAddresses: ['127.0.0.1'], iceInterfaceAddresses: { udp4: '127.0.0.1' } };
  return {
    version: version('werift'),
    connection: () => new RTCPeerConnection({ iceServers: [], ...addresses }),
    transport: pc => pc.dtlsTransports[0],
    facts: statistics,
    // Where ICE is controlled it would wait for the other side to begin SCTP, as the server does, which never does.
    answered: pc => Object.defineProperty(pc.sctpTransport, 'isServer', { value: false }),
    // With DTLS connected it would not begin the checks of a new generation by itself.
    restarted: pc => pc.iceTransports[0].start(),
  };
};

// libdatachannel on libjuice and OpenSSL. It tells nothing of DTLS, and cannot restart ICE.
const nodeDatachannel = () => {
  const { RTCPeerConnection } = load('node-datachannel/polyfill');
  return { version: version('node-datachannel'), connection: () => new RTCPeerConnection({ iceServers: [], bindAddress: '127.0.0.1' }), transport: () => undefined, facts: async () => ({}) };
};

export const peers = { wrtc, werift, 'node-datachannel': nodeDatachannel };
