import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStore } from '../../static/canvas/store.js';
import { addressOf, aimOf, arrived, carry, percentOf } from '../../static/workspace/review.js';
import { LOOK_MS, createSeen } from '../../static/workspace/seen.js';

const REGIONS = [{ id: 'r', class_id: 5, track_id: 't' }, { id: 's', class_id: 6, track_id: null }];

test('a reason leads to its region, else to the region of its track, else to its class', () => {
  assert.deepEqual(aimOf({ region_id: 's', class_id: 6 }, REGIONS), { region: 's', classId: 6 });
  assert.deepEqual(aimOf({ region_id: 'gone', track_id: 't', class_id: 5 }, REGIONS), { region: 'r', classId: 5 });
  assert.deepEqual(aimOf({ track_id: 'lost', class_id: 5 }, REGIONS), { region: null, classId: 5 });
  assert.equal(aimOf({ kind: 'conflict' }, REGIONS), null);
});

test('frames of other assets are worked on at their own address, which carries why', () => {
  const entry = { frame_id: 'b-000004', asset_id: 'b', index: 4, reasons: [] };
  assert.equal(addressOf('p', entry), '/workspace/p?asset=b&frame=5&review=1');
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
  carry(storage, entry);
  assert.equal(arrived(storage, 'b-000003'), null);
  assert.deepEqual(arrived(storage, 'b-000004'), entry);
  assert.equal(arrived(storage, 'b-000004'), null);
});

test('100 % were seen only where all were', () => {
  assert.deepEqual([percentOf(0, 0), percentOf(1, 3), percentOf(9999, 10_000), percentOf(3, 3)], [0, 33, 99, 100]);
});

const frame = (n) => `a-00000${n}`;

/** A page whose time passes when the test says so. */
function looking({ visible = () => true, answer = async () => {} } = {}) {
  const store = createStore({ index: 0, frameId: frame(0), playing: false });
  const sent = [];
  let timers = [];
  let clock = 0;
  const seen = createSeen({
    store, isVisible: visible, send: (id) => { sent.push(id); return answer(id); },
    later: (fn, ms) => { const timer = { fn, at: clock + ms }; timers.push(timer); return timer; },
    drop: (timer) => { timers = timers.filter((one) => one !== timer); },
  });
  const pass = async (ms) => {
    clock += ms;
    const due = timers.filter((timer) => timer.at <= clock);
    timers = timers.filter((timer) => timer.at > clock);
    for (const timer of due) timer.fn();
    await new Promise((resolve) => { setImmediate(resolve); });
  };
  const goto = (n) => {
    store.set({ index: n });
    store.set({ frameId: frame(n) });
  };
  return { store, sent, pass, goto, seen };
}

test('a frame is seen by who stays, once; not by who passes, plays or looks elsewhere', async () => {
  let visible = true;
  const { store, sent, pass, goto } = looking({ visible: () => visible });
  await pass(LOOK_MS - 1);
  goto(1);
  await pass(LOOK_MS - 1);
  assert.deepEqual(sent, []);
  await pass(1);
  assert.deepEqual(sent, [frame(1)]);
  goto(2);
  await pass(LOOK_MS - 1);
  // The number has moved on, the picture of the next one is not there yet.
  store.set({ index: 4 });
  await pass(LOOK_MS);
  store.set({ frameId: frame(4) });
  await pass(LOOK_MS - 1);
  assert.deepEqual(sent, [frame(1)]);
  store.set({ playing: true });
  goto(3);
  await pass(LOOK_MS);
  assert.deepEqual(sent, [frame(1)]);
  store.set({ playing: false });
  visible = false;
  await pass(LOOK_MS);
  assert.deepEqual(sent, [frame(1)]);
  visible = true;
  goto(1);
  await pass(LOOK_MS);
  assert.deepEqual(sent, [frame(1)]);
});

test('looks are told one after the other, and one that could not be told is told with the next look', async () => {
  const open = [];
  const { sent, pass, goto, seen } = looking({ answer: () => new Promise((resolve, reject) => open.push({ resolve, reject })) });
  await pass(LOOK_MS);
  goto(1);
  await pass(LOOK_MS);
  assert.deepEqual(sent, [frame(0)]);
  open[0].reject(new Error('no connection'));
  await pass(0);
  assert.deepEqual(sent, [frame(0), frame(1)]);
  let settled = false;
  const all = seen.settled().then(() => { settled = true; });
  await pass(0);
  assert.equal(settled, false);
  open[1].resolve();
  await all;
  goto(0);
  await pass(LOOK_MS);
  assert.deepEqual(sent, [frame(0), frame(1), frame(0)]);
});
