'use strict';
// A call: a connection whose offers come from either side, over a WebSocket that may break and come back.
//
//   Link    numbers, acknowledgements, resend, back-off: the dialing side of floe's `signaling::Link`
//   Call    perfect negotiation (webrtc-pc, section 10.7), the polite side
//
// For tests: window.floe.call = { pc, states, link, open(options), ask(what), add(kind), restart(), networkChanged(), breakChannel(),
// leave() }.
//   open   {audio, data}: what is there from the beginning; {microphone: true}: candidates with addresses
//   ask    of the server: 'audio' or 'data' (an offer with one more section and transport), 'restart', 'remove'
//   add    'audio' or 'data' from this side: negotiation follows
//   networkChanged, as when the browser is online again: the channel and the path are sought anew, neither because of the other

const ATTEMPTS = 6;

class Link {
  constructor(url, on) {
    Object.assign(this, { url, on, socket: null, state: 'down', channel: 0, attempt: 0, welcomed: false });
    this.session = [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('');
    Object.assign(this, { sent: 0, unacknowledged: [], delivered: 0, early: new Map() });
    this.dial();
  }

  dial() {
    if (this.state === 'closed') return;
    this.to('connecting');
    const socket = this.socket = new WebSocket(this.url);
    socket.onopen = () => {
      this.channel = this.channel % 65_535 + 1;
      this.to('greeting');
      this.say({ [this.welcomed ? 'resume' : 'open']: { channel: this.channel } });
    };
    socket.onmessage = event => { if (socket === this.socket) this.hear(JSON.parse(event.data).envelope); };
    socket.onclose = () => { if (socket === this.socket) this.lost(); };
  }

  // Exponential, with full jitter.
  lost() {
    this.socket = null;
    if (this.state === 'closed') return;
    if (this.attempt >= ATTEMPTS) return this.to('exhausted');
    this.to('down');
    const delay = Math.random() * Math.min(15_000, 500 * 2 ** this.attempt);
    this.attempt += 1;
    setTimeout(() => { if (this.state === 'down') this.dial(); }, delay);
  }

  // The network is another: no back-off.
  reconnect() {
    if (this.state !== 'down' && this.state !== 'exhausted') return;
    this.attempt = 0;
    this.dial();
  }

  hear({ ack, body }) {
    if (ack) this.unacknowledged = this.unacknowledged.filter(({ id }) => id > ack);
    if (body.welcome) this.welcome(body.welcome);
    else if (body.message) this.receive(body.message);
    else if (body.leave) this.left(body.leave);
  }

  welcome({ channel }) {
    if (channel !== this.channel) return;
    this.welcomed = true;
    this.attempt = 0;
    this.to('up');
    for (const message of this.unacknowledged) this.say({ message });
  }

  // Each once and in order; what comes early waits.
  receive({ id, payload }) {
    if (id > this.delivered) this.early.set(id, payload);
    while (this.early.has(this.delivered + 1)) {
      this.delivered += 1;
      const next = this.early.get(this.delivered);
      this.early.delete(this.delivered);
      this.on.message(next);
    }
    this.say('ack');
  }

  left(leave) {
    if (leave.action === 'RESUME') return this.socket.close();
    this.close();
    this.on.leave(leave);
  }

  send(payload) {
    const message = { id: this.sent += 1, payload };
    this.unacknowledged.push(message);
    if (this.state === 'up') this.say({ message });
  }

  say(body) {
    const envelope = { session: this.session, ack: this.delivered || null, body };
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ envelope }));
  }

  ask(what) { this.socket.send(JSON.stringify({ ask: what })); }

  leave() {
    this.say({ leave: { reason: 'CLIENT_INITIATED', action: 'DISCONNECT' } });
    this.close();
  }

  close() {
    this.to('closed');
    if (this.socket) this.socket.close();
  }

  to(state) {
    this.state = state;
    this.on.state(state);
  }
}

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
