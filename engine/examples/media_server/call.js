// A call: a connection whose offers come from either side, over a channel that may break and come back. Perfect negotiation
// (webrtc-pc, section 10.7), the polite side.
//
// For tests: window.floe.call = { pc, states, link, open(options), ask(what), add(kind), restart(), networkChanged(), breakChannel(),
// leave() }.
//   open   {audio, data}: what is there from the beginning; {microphone: true}: candidates with addresses
//   ask    of the server: 'audio' or 'data' (an offer with one more section and transport), 'restart', 'remove'
//   add    'audio' or 'data' from this side: negotiation follows
//   networkChanged, as when the browser is online again: the channel and the path are sought anew, neither because of the other

import { Link } from './link.mjs';

class Call {
  constructor() {
    const pc = this.pc = new RTCPeerConnection({ iceServers: [] });
    this.states = { connection: [], iceConnection: [], iceGathering: [], signaling: [], link: [], transports: new Map() };
    this.errors = [];
    this.left = null;
    this.offerId = 0;
    const note = (list, read) => () => { if (list[list.length - 1] !== read()) list.push(read()); this.look(); };
    const follow = (event, list, read) => { const look = note(list, read); look(); pc.addEventListener(event, look); };
    follow('connectionstatechange', this.states.connection, () => pc.connectionState);
    follow('iceconnectionstatechange', this.states.iceConnection, () => pc.iceConnectionState);
    follow('icegatheringstatechange', this.states.iceGathering, () => pc.iceGatheringState);
    follow('signalingstatechange', this.states.signaling, () => pc.signalingState);
    pc.onnegotiationneeded = () => this.offer().catch(error => this.fail(error));
    pc.onicecandidate = ({ candidate }) => { if (candidate) this.link.send({ candidate: candidate.toJSON() }); };
    this.queue = Promise.resolve();
    this.link = new Link(new URL('/call', location.href.replace(/^http/, 'ws')), {
      state: state => this.states.link.push(state),
      message: message => { this.queue = this.queue.then(() => this.hear(message)).catch(error => this.fail(error)); },
      leave: leave => { this.left = leave; pc.close(); },
    });
  }

  fail(error) { this.errors.push(`${error.name}: ${error.message}`); }

  async offer() {
    await this.pc.setLocalDescription();
    const { type, sdp } = this.pc.localDescription;
    // Rolled back meanwhile: then it is the answer's turn.
    if (type === 'offer') this.link.send({ description: { type, sdp, offerId: this.offerId += 1 } });
  }

  async hear({ description, candidate }) {
    if (candidate) return this.hearCandidate(candidate);
    const { pc } = this, { type, sdp, offerId } = description;
    if (type === 'answer' && (offerId !== this.offerId || pc.signalingState !== 'have-local-offer')) return;
    // The polite side ignores no offer: this rolls its own back.
    await pc.setRemoteDescription({ type, sdp });
    if (type !== 'offer') return;
    await pc.setLocalDescription();
    this.link.send({ description: { type: 'answer', sdp: pc.localDescription.sdp, offerId } });
  }

  async hearCandidate({ candidate, sdpMid, sdpMLineIndex, usernameFragment }) {
    await this.pc.addIceCandidate({ candidate, sdpMid, sdpMLineIndex, usernameFragment });
  }

  // Transports come and go with the descriptions.
  look() {
    const { pc, states: { transports } } = this;
    const all = [pc.sctp && pc.sctp.transport, ...pc.getTransceivers().map(({ receiver }) => receiver.transport)].filter(Boolean);
    for (const dtls of all) {
      if (transports.has(dtls)) continue;
      const seen = { dtls: [dtls.state], ice: [dtls.iceTransport.state] };
      transports.set(dtls, seen);
      dtls.addEventListener('statechange', () => seen.dtls.push(dtls.state));
      dtls.iceTransport.addEventListener('statechange', () => seen.ice.push(dtls.iceTransport.state));
    }
  }

  async add(kind) {
    if (kind === 'data') {
      const channel = this.pc.createDataChannel('echo');
      channel.onopen = () => channel.send('hello');
      channel.onmessage = () => { this.echoes = (this.echoes || 0) + 1; };
      return;
    }
    const { track } = await (this.microphone ? microphone() : sound({}));
    this.pc.addTransceiver(track, { direction: 'sendonly' });
  }
}

window.floe.call = {
  current: null,
  get pc() { return this.current && this.current.pc; },
  get link() { return this.current && this.current.link; },
  get errors() { return this.current.errors; },
  get left() { return this.current.left; },
  get echoes() { return this.current.echoes || 0; },
  get states() {
    const { transports, ...lists } = this.current.states;
    return { ...lists, transports: [...transports.values()] };
  },
  async open(options = {}) {
    if (this.current) this.leave();
    const call = this.current = new Call();
    const wanted = { audio: true, data: true, ...options };
    call.microphone = wanted.microphone;
    if (wanted.audio) await call.add('audio');
    if (wanted.data) await call.add('data');
  },
  add(kind) { return this.current.add(kind); },
  ask(what) { this.current.link.ask(what); },
  restart() { this.current.pc.restartIce(); },
  breakChannel() { this.current.link.socket.close(); },
  networkChanged() {
    this.current.link.reconnect();
    this.current.pc.restartIce();
  },
  leave() {
    this.current.link.leave();
    this.current.pc.close();
  },
};

addEventListener('online', () => { if (floe.call.current && !floe.call.left) floe.call.networkChanged(); });
