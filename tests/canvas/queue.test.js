import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refused, Unreachable, createQueue } from '../../static/canvas/queue.js';
import { createSocket } from '../../static/canvas/socket.js';

/** A server that answers from a script: a value, or an error to throw. Waits are over at once and counted. */
function setUp(script) {
  const seen = [];
  const states = [];
  const waits = [];
  const queue = createQueue({
    send: async (request) => {
      seen.push(request);
      const next = script.shift();
      if (next instanceof Error) throw next;
      return next;
    },
    onState: (state, n) => states.push(`${state} ${n}`),
    wait: async (ms) => { waits.push(ms); },
  });
  return { queue, seen, states, waits };
}

test('saved is said only after the server acknowledged', async () => {
  const { queue, states } = setUp(['answer']);
  const done = queue.push(() => ({ id: 'op1' }));
  assert.deepEqual(states, ['saving 1']);
  assert.equal(await done, 'answer');
  await null;
  assert.deepEqual(states.slice(-1), ['saved 0']);
});

test('a lost connection is tried again with the same operation until it is acknowledged', async () => {
  const { queue, seen, states, waits } = setUp([new Unreachable(), new Unreachable(), 'at last']);
  let built = 0;
  assert.equal(await queue.push(() => ({ id: `op${++built}` })), 'at last');
  assert.deepEqual(seen.map((request) => request.id), ['op1', 'op1', 'op1']);
  assert.ok(states.includes('retrying 1'));
  assert.deepEqual(waits, [250, 500]);
});

test('operations go one at a time and in order, and the next is built from the answer before it', async () => {
  const { queue, seen } = setUp([{ revision: 7 }, {}]);
  let revision = 1;
  const first = queue.push(() => ({ id: 'a', revision }), (answer) => { revision = answer.revision; });
  const second = queue.push(() => ({ id: 'b', revision }));
  await Promise.all([first, second]);
  assert.deepEqual(seen, [{ id: 'a', revision: 1 }, { id: 'b', revision: 7 }]);
});

test('a refusal ends that operation and lets the next one go', async () => {
  const { queue, states } = setUp([new Refused(409, {}, 'Changed meanwhile.'), 'fine']);
  const first = queue.push(() => ({ id: 'a' }));
  const second = queue.push(() => ({ id: 'b' }));
  await assert.rejects(first, { status: 409, message: 'Changed meanwhile.' });
  assert.equal(await second, 'fine');
  await null;
  assert.equal(states.at(-1), 'saved 0');
});

test('an operation whose object is gone is left out', async () => {
  const { queue, seen } = setUp(['b']);
  assert.equal(await queue.push(() => null), null);
  await queue.push(() => ({ id: 'b' }));
  assert.deepEqual(seen, [{ id: 'b' }]);
});

class Line {
  static made = [];
  constructor(url) {
    this.url = url;
    this.readyState = 0;
    this.sent = [];
    Line.made.push(this);
  }
  send(bytes) { this.sent.push(JSON.parse(new TextDecoder().decode(bytes))); }
  close() {}
  up() {
    this.readyState = 1;
    this.onopen();
  }
  down() {
    this.readyState = 3;
    this.onclose();
  }
}

test('the socket comes back with growing pauses and says its focus again', () => {
  Line.made.length = 0;
  const pauses = [];
  let again = null;
  const socket = createSocket({
    url: 'ws://x', onMessage: () => {}, WebSocketClass: Line, random: () => 0.5,
    later: (fn, ms) => {
      pauses.push(ms);
      again = fn;
    },
  });
  Line.made[0].up();
  socket.focus('frame-1');
  Line.made[0].down();
  assert.equal(socket.send({ type: 'prompt' }), false);
  again();
  Line.made[1].down();
  again();
  Line.made[2].up();
  assert.deepEqual(pauses, [250, 500]);
  assert.deepEqual(Line.made[2].sent, [{ v: 1, type: 'focus', frame: 'frame-1' }]);
});
