import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFrames } from '../../static/canvas/frames.js';
import { frameId } from '../../static/canvas/ids.js';
import { createStore, initialState } from '../../static/canvas/store.js';

const ASSET = '0'.repeat(24);
const id = (index) => frameId(ASSET, index);

/** Frames over a server of which the test sets what it holds: keys[index]. `asked` says what went over the wire. */
function opened({ total = 8 } = {}) {
  const keys = Array.from({ length: total }, (_, i) => `key ${i}`);
  const asked = [];
  const view = (index) => ({ frame: { id: id(index), index, pts: index / 10, revision: 1, state: 'todo' }, regions: [{ id: `r${index}`, revision: 1 }], key: keys[index] });
  const map = (index) => ({ width: 2, height: 1, regions: [], ids: new Uint8Array(2), key: keys[index] });
  const indexOf = (frame) => Number(frame.slice(-6));
  const transport = {
    unsent: 0,
    focus: () => {},
    image: async (frame) => ({ width: 2, height: 1, frame }),
    frame: async (frame) => { asked.push(`frame ${indexOf(frame)}`); return view(indexOf(frame)); },
    regionMap: async (frame) => { asked.push(`map ${indexOf(frame)}`); return map(indexOf(frame)); },
    async clip(asset, { start, count, step, known }, signal, onFrame) {
      for (let i = start; i < Math.min(start + count * step, total); i += step) {
        const held = known.includes(keys[i]);
        asked.push(`clip ${i}${held ? ' known' : ''}`);
        onFrame(view(i), held ? null : map(i));
      }
    },
  };
  const store = createStore(initialState({ asset: { id: ASSET, frame_count: total, fps: 10 } }));
  const frames = createFrames({ store, transport, revisions: new Map(), emit: () => {}, say: (text) => assert.fail(text), t: (key) => key });
  // Behind the timer after which a frame is settled and its neighbours are fetched.
  const calm = () => new Promise((resolve) => setTimeout(() => setImmediate(() => setImmediate(resolve))));
  return { frames, store, transport, keys, asked, calm };
}

test('a step is painted at once with its map and its regions, for the neighbours were fetched ahead', async () => {
  const { frames, store, calm } = opened();
  await frames.goto(3);
  await calm();
  frames.goto(4);
  const { frameId: shown, map, regions, image } = store.get();
  assert.deepEqual([shown, map.key, regions[0].id, image.frame], [id(4), 'key 4', 'r4', id(4)]);
});

test('of frames that a job says to have changed, only those with another key are fetched anew', async () => {
  const { frames, keys, asked, calm } = opened();
  await frames.goto(3);
  await calm();
  frames.changed(id(4), null, 'key 4');
  assert.equal(frames.isReady(4), true);
  keys[5] = 'another';
  frames.changed(id(5), null, 'another');
  assert.deepEqual([4, 5].map(frames.isReady), [true, false]);
  asked.length = 0;
  frames.want([4, 5]);
  await calm();
  assert.deepEqual(asked, ['clip 5']);
  assert.equal(frames.isReady(5), true);
});

test('where every frame may have changed, maps that have not are kept and only their keys asked for', async () => {
  const { frames, store, keys, asked, calm } = opened();
  await frames.goto(3);
  await calm();
  keys[5] = 'another';
  frames.changedAll();
  assert.equal(frames.isReady(4), false);
  asked.length = 0;
  frames.want([4, 5, 6]);
  await calm();
  assert.deepEqual(asked, ['clip 4 known', 'clip 5', 'clip 6 known']);
  assert.deepEqual([4, 5, 6].map(frames.isReady), [true, true, true]);
  frames.show(5);
  assert.equal(store.get().map.key, 'another');
});

test('a picture that was broken off and is wanted again comes, and nobody hears of it', async () => {
  const { frames, transport, store, calm } = opened();
  const answers = [];
  transport.image = (frame, signal) => new Promise((resolve, reject) => {
    answers.push(() => resolve({ width: 2, height: 1, frame }));
    signal?.addEventListener('abort', () => reject(signal.reason));
  });
  frames.goto(1);
  frames.goto(6);
  const last = frames.goto(1);
  for (const answer of answers) answer();
  await last;
  await calm();
  assert.equal(store.get().frameId, id(1));
});
