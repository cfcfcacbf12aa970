/** How well a picture is scaled down: at once it is painted fast, at rest it is painted well. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

const context = () => ({ fillRect() {}, drawImage() {} });
globalThis.document = { createElement: () => ({ getContext: context }) };
const { createPicture } = await import('../../static/canvas/paint/picture.js');

function scene(t) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const c = context();
  const size = { width: 100, height: 60 };
  let asked = 0;
  const paint = createPicture(() => { asked += 1; });
  const state = { image: {}, view: { scale: 0.5, x: 0, y: 0 }, width: 192, height: 108, map: null, layers: { image: true, labels: true }, playing: false };
  return {
    state,
    asked: () => asked,
    quality(patch = {}) {
      Object.assign(state, patch);
      paint(c, size, state);
      return c.imageSmoothingQuality;
    },
    rest: () => t.mock.timers.tick(1000),
  };
}

test('a new picture is painted fast and, once it rests, well', (t) => {
  const s = scene(t);
  assert.equal(s.quality(), 'low');
  s.rest();
  assert.equal(s.asked(), 1);
  assert.equal(s.quality(), 'high');
  assert.equal(s.quality({ image: {} }), 'low');
  s.rest();
  assert.equal(s.quality({ view: { scale: 0.4, x: 3, y: 0 } }), 'low');
});

test('what playback leaves on screen is painted well', (t) => {
  const s = scene(t);
  assert.equal(s.quality({ playing: true }), 'low');
  s.rest();
  assert.equal(s.asked(), 0);
  assert.equal(s.quality({ playing: false }), 'low');
  s.rest();
  assert.equal(s.asked(), 1);
  assert.equal(s.quality(), 'high');
});

test('a picture that is enlarged is painted once', (t) => {
  const s = scene(t);
  assert.equal(s.quality({ view: { scale: 2, x: 0, y: 0 } }), 'low');
  s.rest();
  assert.equal(s.asked(), 0);
});
