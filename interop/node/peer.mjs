// One peer in a process of its own. It offers to a media server by WHIP (RFC 9725), or answers in a call over its WebSocket, tells
// on standard output what it sees, and does what standard input says.
//
// usage: node peer.mjs wrtc|werift|node-datachannel offer|answer URL-OF-THE-SERVER [DTLS-SETUP-OF-THE-SERVER]
//
//   prints    version V · state OBJECT VALUE · agreed · open · echo TEXT · closed · facts JSON · done COMMAND · error TEXT
//   obeys     say TEXT · facts · restart · close

import { createInterface } from 'node:readline';

import { Call } from './call.mjs';
import { peers } from './peers.mjs';
import { Whip } from './whip.mjs';

const [name, role, url, setup] = process.argv.slice(2);
const tell = (...words) => console.log(words.join(' '));
const peer = peers[name]();
tell('version', peer.version);

const pc = peer.connection();
const server = { offer: () => new Whip(pc, url), answer: () => new Call(pc, url, setup) }[role]();

const watch = (object, target, event, read) => {
  let last;
  const note = () => {
    const state = read();
    if (state !== last) tell('state', object, last = state);
  };
  note();
  target.addEventListener(event, note);
};
watch('connection', pc, 'connectionstatechange', () => pc.connectionState);
watch('iceConnection', pc, 'iceconnectionstatechange', () => pc.iceConnectionState);
watch('iceGathering', pc, 'icegatheringstatechange', () => pc.iceGatheringState);
watch('signaling', pc, 'signalingstatechange', () => pc.signalingState);

let channel;
const openChannel = () => {
  channel = pc.createDataChannel('echo');
  channel.onopen = () => tell('open');
  channel.onmessage = ({ data }) => tell('echo', data);
  channel.onclose = () => tell('closed');
};

// Who answers has no transport to carry a channel, or to look at, before that.
const described = () => {
  if (!channel) openChannel();
  if (role === 'answer') peer.answered?.(pc);
  const dtls = peer.transport(pc);
  if (dtls) watch('dtls', dtls, 'statechange', () => dtls.state);
};

const COMMANDS = {
  say: text => channel.send(text),
  facts: async () => tell('facts', JSON.stringify(await peer.facts(pc))),
  restart: async () => {
    await server.restartIce();
    await peer.restarted?.(pc);
  },
  close: () => pc.close(),
};

const obey = async line => {
  const [, command, argument] = line.match(/^(\w+) ?(.*)$/);
  await COMMANDS[command](argument);
  tell('done', command);
};

const report = error => tell('error', error.stack.replaceAll('\n', ' '));
process.on('unhandledRejection', report);
createInterface({ input: process.stdin }).on('line', line => obey(line).catch(report));

if (role === 'offer') openChannel();
await server[role](described).catch(report);
tell('agreed');
