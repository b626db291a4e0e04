// A channel that may break and come back, over a WebSocket: numbers, acknowledgements, resend, back-off. The dialing side of floe's
// `signaling::Link`, in a browser as well as in Node.js.

const ATTEMPTS = 6;

export class Link {
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
