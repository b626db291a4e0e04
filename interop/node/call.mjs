// The answering half of a call: what the server offers over its WebSocket is answered, with trickled candidates.

import { webcrypto } from 'node:crypto';

import { Link } from '../../engine/examples/media_server/link.mjs';
import { load } from './peers.mjs';

// Node.js has these two since 19 and 22.
globalThis.crypto ??= webcrypto;
globalThis.WebSocket ??= load('ws').WebSocket;

export class Call {
  #pc;
  #link;
  #setup;
  #queue = Promise.resolve();
  #answered;

  // As `setup` the server is to be: `active` or `passive` in DTLS.
  constructor(pc, server, setup) {
    this.#pc = pc;
    this.#setup = setup;
    this.#link = new Promise((resolve, reject) => {
      const link = new Link(new URL('/call', server.replace(/^http/, 'ws')), {
        state: state => {
          if (state === 'up') resolve(link);
          if (state === 'exhausted') reject(new Error('no channel to the server'));
        },
        message: message => { this.#queue = this.#queue.then(() => this.#hear(message)).catch(this.#answered.reject); },
        leave: () => {},
      });
    });
    pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.#trickle(candidate);
    // The empty candidate is their end.
    pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && this.#trickle({ candidate: '', sdpMLineIndex: 0 }));
  }

  // Asks for an offer; resolves once that is answered.
  async answer(answered) {
    const first = new Promise((resolve, reject) => { this.#answered = { resolve, reject }; });
    (await this.#link).ask('data');
    await first;
    answered();
  }

  // No peer has a switch for its DTLS side, so the offer, which leaves the choice to the answer, is read as one that does not.
  async #hear({ description }) {
    if (description?.type !== 'offer') return;
    const { sdp, offerId } = description;
    await this.#pc.setRemoteDescription({ type: 'offer', sdp: sdp.replace(/^a=setup:actpass/gm, `a=setup:${this.#setup}`) });
    const answer = await this.#pc.createAnswer();
    // werift would be active whatever the offer says.
    const own = { active: 'passive', passive: 'active' }[this.#setup];
    await this.#pc.setLocalDescription({ type: 'answer', sdp: answer.sdp.replace(/^a=setup:.*$/gm, `a=setup:${own}`) });
    (await this.#link).send({ description: { type: 'answer', sdp: this.#pc.localDescription.sdp, offerId } });
    this.#answered.resolve();
  }

  async #trickle({ candidate, sdpMid, sdpMLineIndex, usernameFragment }) {
    (await this.#link).send({ candidate: { candidate, sdpMid, sdpMLineIndex, usernameFragment } });
  }
}
