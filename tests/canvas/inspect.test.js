import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInspector } from '../../static/canvas/inspector.js';
import { movedTo, repriced, winnerFirst } from '../../static/canvas/priorities.js';
import { createStore, initialState } from '../../static/canvas/store.js';

const template = (...priorities) => priorities.map((priority, order) => ({ id: order + 1, name: `c${order + 1}`, priority, order }));
const ids = (classes) => winnerFirst(classes).map((cls) => cls.id);

test('the winner comes first; of equals the class later in the template', () => {
  assert.deepEqual(ids(template(5, 9, 5, -1)), [2, 3, 1, 4]);
});

test('a moved class lands where it was put and nothing else changes its sequence, whatever the priorities', () => {
  let seed = 7;
  const random = (n) => { seed = (seed * 48271) % 2147483647; return seed % n; };
  for (let round = 0; round < 400; round++) {
    const classes = template(...Array.from({ length: 1 + random(7) }, () => random(5) - 2 + (random(9) ? 0 : 1_000_000)))
      .map((cls) => ({ ...cls, priority: Math.min(cls.priority, 1_000_000) }));
    const before = ids(classes);
    const id = before[random(before.length)];
    const place = random(before.length + 2) - 1;
    const expected = before.filter((other) => other !== id);
    expected.splice(Math.min(Math.max(place, 0), before.length - 1), 0, id);
    const after = movedTo(classes, id, place);
    assert.deepEqual(after.map((cls) => cls.id), expected);
    assert.deepEqual(ids(after), expected);
    assert.ok(after.every((cls) => Math.abs(cls.priority) <= 1_000_000));
  }
});

test('where a number is free between the neighbours only the moved class changes', () => {
  const classes = template(10, 20, 30);
  assert.deepEqual(repriced(classes, movedTo(classes, 3, 1)), { 3: 15 });
  assert.deepEqual(repriced(classes, movedTo(classes, 1, 0)), { 1: 40 });
  assert.deepEqual(repriced(classes, movedTo(classes, 2, 1)), {});
});

function inspector() {
  const store = createStore({ ...initialState({ asset: { frame_count: 3 } }), frameId: 'f', width: 20, height: 10, viewport: { width: 20, height: 10 }, tool: 'inspect' });
  const asked = [];
  const transport = { inspect: (frame, x, y) => new Promise((resolve) => { asked.push({ frame, x, y, answer: () => resolve({ x: x - 0.5, y: y - 0.5, losers: [] }) }); }) };
  const { intent } = createInspector({ store, transport, say: assert.fail, pan: () => {} });
  return { store, asked, intent };
}
const turns = () => new Promise((resolve) => { setTimeout(resolve); });

test('while one pixel is asked about, of those that follow only the newest is', async () => {
  const { store, asked, intent } = inspector();
  intent({ how: 'pin', at: { x: 3.2, y: 4.9 } });
  await turns();
  for (let n = 0; n < 5; n++) intent({ how: 'step', dx: 1, dy: 0 });
  await turns();
  assert.deepEqual(asked.map(({ x, y }) => [x, y]), [[3.5, 4.5]]);
  asked[0].answer();
  await turns();
  assert.deepEqual(asked.map(({ x, y }) => [x, y]), [[3.5, 4.5], [8.5, 4.5]]);
  asked[1].answer();
  await turns();
  assert.equal(store.get().inspection.x, 8);
});

test('a kept pixel stays under a moving pointer, is let go by a second press, and never leaves the frame', () => {
  const { store, intent } = inspector();
  intent({ how: 'pin', at: { x: 3.2, y: 4.9 } });
  intent({ how: 'hover', at: { x: 9, y: 9 } });
  assert.deepEqual(store.get().inspect, { x: 3, y: 4, pinned: true });
  intent({ how: 'pin', at: { x: 3.9, y: 4.1 } });
  intent({ how: 'hover', at: { x: 9, y: 9 } });
  assert.deepEqual(store.get().inspect, { x: 9, y: 9, pinned: false });
  for (const at of [{ x: -0.1, y: 3 }, { x: 20, y: 3 }]) intent({ how: 'hover', at });
  assert.deepEqual(store.get().inspect, { x: 9, y: 9, pinned: false });
  intent({ how: 'step', dx: 10, dy: 10 });
  intent({ how: 'step', dx: 10, dy: 10 });
  assert.deepEqual(store.get().inspect, { x: 19, y: 9, pinned: true });
  store.set({ tool: 'select' });
  assert.equal(store.get().inspect, null);
});
