import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecords } from '../../static/canvas/clip.js';
import { advance, around, boundsOf, following, gapOf, startOf, upcoming } from '../../static/canvas/clock.js';
import { createLoader } from '../../static/canvas/loader.js';
import { createPlayer } from '../../static/canvas/player.js';
import { Unreachable } from '../../static/canvas/queue.js';
import { createStore, initialState } from '../../static/canvas/store.js';

const even = (i) => i / 10;
const play = (patch = {}) => ({ total: 10, loop: false, range: null, speed: 1, fps: 10, backward: false, stride: 1, timeOf: even, ...patch });
const framesOf = ({ path }) => path.map(({ at }) => at);

test('the frame that is due follows the time of the asset and the speed', () => {
  const at = (now, patch) => advance({ at: 2, since: 1000 }, now, play(patch)).at;
  assert.deepEqual([1000, 1099, 1101, 1350].map((now) => at(now)), [2, 2, 3, 5]);
  assert.deepEqual([0.5, 1, 2, 4].map((speed) => at(1201, { speed })), [3, 4, 6, 9]);
});

test('frames that were due in one beat are named in order, so that the newest is shown and the others counted', () => {
  const due = advance({ at: 2, since: 0 }, 350, play());
  assert.deepEqual(framesOf(due), [3, 4, 5]);
  assert.deepEqual([due.at, Math.round(due.since), due.ended], [5, 300, false]);
});

test('frames of different lengths are each shown for their own', () => {
  const times = [0, 0.1, 0.5, 0.6];
  const vfr = play({ total: 4, timeOf: (i) => times[i] });
  assert.deepEqual([50, 101, 499, 501, 601].map((now) => advance({ at: 0, since: 0 }, now, vfr).at), [0, 1, 1, 2, 3]);
  const back = { ...vfr, backward: true };
  assert.deepEqual([99, 101, 499, 501].map((now) => advance({ at: 3, since: 0 }, now, back).at), [3, 2, 2, 1]);
});

test('without times the rate counts, without a rate ten a second, and equal times do not stop the clock', () => {
  assert.equal(gapOf(3, 4, { timeOf: () => null, fps: 25 }), 1 / 25);
  assert.equal(gapOf(3, 5, { timeOf: () => null, fps: 25 }), 2 / 25);
  assert.equal(gapOf(3, 4, { timeOf: () => null, fps: null }), 1 / 10);
  assert.ok(gapOf(3, 4, { timeOf: () => 1, fps: 25 }) > 0);
});

test('playback ends at the last frame, loops the asset, or loops the selected range', () => {
  assert.equal(following(9, play()), null);
  assert.equal(following(9, play({ loop: true })), 0);
  const range = { start: 3, stop: 5 };
  assert.deepEqual(boundsOf(play({ range })), [0, 9]);
  assert.deepEqual(framesOf(advance({ at: 4, since: 0 }, 450, play({ loop: true, range }))), [5, 3, 4, 5]);
  assert.deepEqual(framesOf(advance({ at: 4, since: 0 }, 350, play({ loop: true, range, backward: true }))), [3, 5, 4]);
  const end = advance({ at: 8, since: 0 }, 5000, play());
  assert.deepEqual([end.at, end.ended], [9, true]);
});

test('at the end playback starts over, and outside of the looped range at its start', () => {
  assert.deepEqual([0, 4, 9].map((i) => startOf(i, play())), [0, 4, 0]);
  assert.deepEqual([0, 4, 9].map((i) => startOf(i, play({ backward: true }))), [9, 4, 9]);
  const range = { start: 3, stop: 5 };
  assert.deepEqual([0, 4, 5, 9].map((i) => startOf(i, play({ loop: true, range }))), [3, 4, 3, 3]);
});

test('where only some frames come in time the same ones are played in every round, and the ends', () => {
  const some = play({ stride: 4, loop: true });
  assert.deepEqual(upcoming(1, 20, some), [4, 8, 9, 0]);
  assert.deepEqual(upcoming(9, 3, { ...some, loop: false, backward: true }), [8, 4, 0]);
});

test('what comes next is named once, and both ways where it stands still', () => {
  assert.deepEqual(upcoming(7, 5, play()), [8, 9]);
  assert.deepEqual(upcoming(4, 9, play({ loop: true, range: { start: 3, stop: 5 } })), [5, 3]);
  assert.deepEqual(around(5, 4, 10, 1), [6, 4, 7, 3]);
  assert.deepEqual(around(5, 4, 10, -1), [4, 6, 3, 7]);
  assert.deepEqual(around(0, 7, 10, -1), [1, 2, 3, 4, 5, 6, 7]);
});

test('records are read however the bytes are cut', () => {
  const record = (head, body) => {
    const text = new TextEncoder().encode(JSON.stringify({ ...head, bytes: body.length || undefined }));
    const out = new Uint8Array(4 + text.length + body.length);
    new DataView(out.buffer).setUint32(0, text.length, true);
    out.set(text, 4);
    out.set(body, 4 + text.length);
    return out;
  };
  const all = [...record({ key: 'a' }, [1, 2, 3]), ...record({ key: 'b' }, []), ...record({ key: 'c' }, [4])];
  for (const size of [1, 5, 17, all.length]) {
    const records = createRecords();
    const found = [];
    for (let at = 0; at < all.length; at += size) found.push(...records.push(Uint8Array.from(all.slice(at, at + size))));
    assert.deepEqual(found.map(({ head, body }) => [head.key, [...body]]), [['a', [1, 2, 3]], ['b', []], ['c', [4]]], `in pieces of ${size}`);
    assert.equal(records.left, 0);
  }
});

/** A loader whose answers the test gives: images[index] and clips[n] = {row, signal, give(index), end(), fail(error)}. */
function loading() {
  const timers = [];
  const here = { images: new Set(), facts: new Set() };
  const images = new Map();
  const clips = [];
  const loader = createLoader({
    hasImage: (i) => here.images.has(i),
    hasFacts: (i) => here.facts.has(i),
    take: (i) => here.facts.add(i),
    later: (callback) => timers.push(callback),
    image: (index, signal) => new Promise((resolve, reject) => {
      images.set(index, { signal, fail: reject, give: () => { here.images.add(index); resolve(); } });
    }),
    clip: (row, signal, onFrame) => new Promise((resolve, reject) => {
      clips.push({ row, signal, give: (index) => onFrame(index), end: resolve, fail: reject });
    }),
  });
  return { loader, here, images, clips, timers, settle: () => new Promise((resolve) => setImmediate(resolve)) };
}

test('the most urgent frames are loaded first, a few at a time, and their regions in rows', async () => {
  const { loader, images, clips, settle } = loading();
  loader.want([5, 6, 4, 7, 3]);
  assert.deepEqual([...images.keys()], [5, 6, 4]);
  assert.deepEqual(clips.map(({ row }) => row), [{ start: 3, count: 5, step: 1 }]);
  images.get(6).give();
  await settle();
  assert.deepEqual([...images.keys()], [5, 6, 4, 7]);
});

test('what is not wanted any more is broken off, what still is goes on', () => {
  const { loader, images, clips } = loading();
  loader.want([5, 6, 7]);
  loader.want([7, 8, 9]);
  assert.deepEqual([5, 6, 7].map((i) => images.get(i).signal.aborted), [true, true, false]);
  assert.equal(clips[0].signal.aborted, false);
  loader.want([20]);
  assert.equal(clips[0].signal.aborted, true);
});

test('what a change made old is not taken, and asked for again', async () => {
  const { loader, here, clips, settle } = loading();
  loader.want([1, 2]);
  loader.forget(2);
  clips[0].give(1);
  clips[0].give(2);
  clips[0].end();
  await settle();
  assert.deepEqual([...here.facts], [1]);
  assert.deepEqual(clips[1].row, { start: 2, count: 1, step: 1 });
});

test('a picture that is refused is given up, one that was not reached is tried again after a while', async () => {
  const { loader, images, timers, settle } = loading();
  loader.want([1, 2]);
  images.get(1).fail(new Error('There is no such frame.'));
  const before = images.get(2);
  before.fail(new Unreachable('network'));
  await settle();
  assert.deepEqual([loader.isBroken(1), loader.isBroken(2)], [true, false]);
  assert.equal(images.get(2), before);
  timers[0]();
  assert.notEqual(images.get(2), before);
});

test('in playback a short row waits to become long, unless it is urgent', () => {
  const { loader, here, clips } = loading();
  for (let i = 0; i < 20; i++) here.facts.add(i);
  const next = Array.from({ length: 24 }, (_, i) => i);
  loader.want(next, { more: true });
  assert.equal(clips.length, 0);
  loader.want(next.slice(16), { more: true });
  assert.equal(clips.length, 0);
  loader.want(next.slice(18), { more: true });
  assert.deepEqual(clips[0].row, { start: 20, count: 4, step: 1 });
});

/** A player over frames of which the test says which are in memory. `at(ms)`: the browser paints then. */
function playing({ total = 40, index = 0, here = Array.from({ length: total }, (_, i) => i), ...patch } = {}) {
  const store = createStore({ ...initialState({ asset: { id: 'a', frame_count: total, fps: 10 } }), index, ...patch });
  const memory = new Set(here);
  const calls = { shown: [], rest: 0, goto: [] };
  let beat = null;
  let now = 0;
  const player = createPlayer({
    store, clockNow: () => now, nextBeat: (callback) => { beat = callback; },
    frames: {
      isReady: (i) => memory.has(i), isBroken: () => false, isOnScreen: (i) => store.get().frameId === `a-${i}`, timeOf: even, roomFor: (n) => n, want: () => {},
      show: (i) => { calls.shown.push(i); store.set({ index: i, frameId: `a-${i}` }); },
      rest: () => { calls.rest += 1; },
      goto: (i) => { calls.goto.push(i); store.set({ index: i }); },
    },
  });
  return {
    player, store, memory, calls,
    at(ms) {
      now = ms;
      const callback = beat;
      beat = null;
      callback?.(ms);
      return store.get().index;
    },
  };
}

test('what is painted too rarely is left out and counted, and time is kept', () => {
  const { player, store, calls, at } = playing();
  player.toggle();
  assert.deepEqual([0, 101, 401, 501].map(at), [0, 1, 4, 5]);
  player.stop();
  assert.deepEqual(calls.shown, [0, 1, 4, 5]);
  assert.equal(store.get().dropped, 2);
});

test('a frame that is not in memory holds the clock, says so after a while, and nothing is left out', () => {
  const { player, store, memory, calls, at } = playing({ here: [0, 1, 2, 3, 4, 5] });
  player.toggle();
  for (let ms = 0; ms <= 700; ms += 50) at(ms);
  assert.deepEqual([store.get().index, store.get().buffering], [5, false]);
  at(1000);
  assert.equal(store.get().buffering, true);
  for (let i = 6; i < 40; i++) memory.add(i);
  at(1050);
  assert.deepEqual([store.get().index, store.get().buffering], [6, false]);
  at(1151);
  assert.deepEqual(calls.shown, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('where frames come more slowly than they are played, some of them are played in time', () => {
  const { player, memory, calls, at } = playing({ here: [0, 1, 2, 3, 4, 5] });
  player.toggle();
  for (let ms = 0; ms <= 700; ms += 50) at(ms);
  for (let i = 6; i < 40; i++) memory.add(i);
  for (let ms = 2000; ms <= 3000; ms += 50) at(ms);
  const late = calls.shown.slice(7);
  assert.ok(late.every((index, i) => !i || index - late[i - 1] >= 2), String(late));
});

test('a stop stands on the frame that was shown, and asks how it stands', () => {
  const { player, store, calls, at } = playing();
  player.toggle();
  at(0);
  at(350);
  player.toggle();
  assert.deepEqual([store.get().playing, store.get().index, calls.rest], [false, 3, 1]);
  assert.equal(at(900), 3);
});

test('playback ends on the last frame and begins anew from there', () => {
  const { player, store, at } = playing({ total: 5, index: 3 });
  player.toggle();
  at(0);
  at(900);
  assert.deepEqual([store.get().playing, store.get().index], [false, 4]);
  player.toggle();
  assert.equal(at(1000), 0);
});

test('it plays backward, at another speed, and from where it is sought', () => {
  const { player, store, at } = playing({ index: 20 });
  player.toggle(true);
  at(0);
  assert.equal(at(201), 18);
  player.changeSpeed(1);
  assert.equal(at(301), 16);
  player.seek(30);
  assert.equal(at(400), 30);
  assert.deepEqual([at(501), store.get().playing], [28, true]);
});

test('whoever goes elsewhere or starts to work ends playback where they are', () => {
  const one = playing();
  one.player.toggle();
  one.at(0);
  one.store.set({ index: 33 });
  one.at(300);
  assert.deepEqual([one.store.get().playing, one.store.get().index], [false, 33]);
  const other = playing({ frameId: 'a-0', here: [0] });
  other.player.toggle();
  other.at(50);
  other.store.set({ prompt: { points: [] } });
  assert.deepEqual([other.store.get().playing, other.store.get().prompt, other.calls], [false, { points: [] }, { shown: [], rest: 1, goto: [] }]);
});
