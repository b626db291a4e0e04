// The client's half of WHIP: one offer, trickled candidates, ICE restarts (RFC 9725 §4.2 and §4.3).

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';

export class Whip {
  #pc;
  #server;
  #location;
  #tag;
  #answer;
  #waiting = [];
  #ready = false;

  constructor(pc, server) {
    this.#pc = pc;
    this.#server = server;
    pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.#trickle(`a=${candidate.candidate}`);
    pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && this.#trickle('a=end-of-candidates'));
  }

  // All candidates trickle: libdatachannel loses its ICE transport if checks come in before the answer.
  async offer(offered) {
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    offered();
    await this.#post(this.#pc.localDescription.sdp);
    await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
    await this.#begin();
  }

  // A new offer stays here: its credentials go out as a fragment, and what comes back is put into the answer there is.
  async restartIce() {
    this.#ready = false;
    this.#waiting = [];
    await this.#pc.setLocalDescription(await this.#pc.createOffer({ iceRestart: true }));
    const response = await this.#patch('*', this.#waiting.splice(0));
    this.#tag = response.headers.get('ETag');
    this.#answer = restarted(this.#answer, await response.text());
    await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
    await this.#begin();
  }

  async #post(offer) {
    const response = await request(new URL('/whip', this.#server), 'POST', { 'Content-Type': SDP }, withoutCandidates(offer));
    this.#location = new URL(response.headers.get('Location'), this.#server);
    this.#tag = response.headers.get('ETag');
    this.#answer = await response.text();
  }

  async #begin() {
    this.#ready = true;
    await this.#flush();
  }

  #trickle(line) {
    this.#waiting.push(line);
    if (this.#ready) this.#flush();
  }

  async #flush() {
    if (this.#waiting.length) await this.#patch(this.#tag, this.#waiting.splice(0));
  }

  #patch(tag, lines) {
    const headers = { 'Content-Type': FRAGMENT, 'If-Match': tag };
    return request(this.#location, 'PATCH', headers, fragment(this.#pc.localDescription.sdp, lines));
  }
}

async function request(url, method, headers, body) {
  const response = await fetch(url, { method, headers, body });
  if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`);
  return response;
}

const withoutCandidates = sdp => sdp.replace(/^a=(candidate:|end-of-candidates).*\r?\n/gm, '');

// RFC 8840 §9: what names the transport and its generation, and then the candidates.
function fragment(sdp, lines) {
  const first = pattern => (sdp.match(pattern) ?? [''])[0];
  const head = [/^a=group:BUNDLE.*$/m, /^m=.*$/m, /^a=mid:.*$/m, /^a=ice-ufrag:.*$/m, /^a=ice-pwd:.*$/m].map(first);
  return [...head, ...lines].filter(Boolean).map(line => `${line.trim()}\r\n`).join('');
}

function restarted(answer, fragment) {
  const ice = /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/;
  const lines = answer.split(/\r?\n/).filter(Boolean);
  const at = lines.findIndex(line => line.startsWith('a=ice-ufrag'));
  const kept = lines.filter(line => !ice.test(line));
  kept.splice(at, 0, ...fragment.split(/\r?\n/).filter(line => ice.test(line)));
  return kept.map(line => `${line.replace(/^(o=\S+ \S+ )(\d+)/, (_, head, version) => head + (Number(version) + 1))}\r\n`).join('');
}
