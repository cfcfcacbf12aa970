import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundsOf, placeChip } from '../../static/canvas/chip.js';
import * as geometry from '../../static/canvas/geometry.js';
import { frameId, frameIndex, newId } from '../../static/canvas/ids.js';
import { classLoops, classRanks, colourTable, colourise, paintMask, parseRegionMap, regionAt, regionLoops, withoutRegion } from '../../static/canvas/labelmap.js';
import { createLru } from '../../static/canvas/lru.js';
import { openCandidate, splitMessage, unpackBits } from '../../static/canvas/masks.js';
import { traceLoops } from '../../static/canvas/trace.js';
import { fitView, keepInSight, panBy, resized, toFrame, toScreen, wheelFactor, zoomAt } from '../../static/canvas/view.js';

const VIEWPORT = { width: 800, height: 600 };
const IMAGE = { width: 480, height: 360 };

test('an id is 24 hex digits, sorts by time and never repeats', () => {
  assert.match(newId(), /^[0-9a-f]{24}$/);
  assert.ok(newId(1000) < newId(2000));
  assert.equal(new Set(Array.from({ length: 500 }, () => newId(1))).size, 500);
});

test('a frame id names asset and index and gives the index back', () => {
  const id = frameId('0123456789ab0123456789ab', 12);
  assert.equal(id, '0123456789ab0123456789ab-000012');
  assert.equal(frameIndex(id), 12);
  assert.equal(frameIndex('nonsense'), -1);
});

test('zooming keeps the frame position under the pointer', () => {
  const view = fitView(VIEWPORT, IMAGE);
  const at = { x: 300, y: 200 };
  const before = toFrame(view, at);
  const after = toFrame(zoomAt(view, at, 2.5, VIEWPORT, IMAGE), at);
  assert.ok(Math.abs(before.x - after.x) < 1e-9 && Math.abs(before.y - after.y) < 1e-9);
});

test('the fitted frame is in the middle with a margin, and follows a resize', () => {
  const view = fitView(VIEWPORT, IMAGE);
  assert.equal(toScreen(view, { x: 240, y: 180 }).x, 400);
  assert.ok(toScreen(view, { x: 0, y: 0 }).x >= 12);
  assert.deepEqual(resized(view, VIEWPORT, { width: 400, height: 300 }, IMAGE), fitView({ width: 400, height: 300 }, IMAGE));
});

test('the frame cannot be lost by panning', () => {
  const view = panBy(fitView(VIEWPORT, IMAGE), 1e6, -1e6, VIEWPORT, IMAGE);
  assert.ok(view.x <= VIEWPORT.width - 48 && view.y + IMAGE.height * view.scale >= 48);
  assert.equal(keepInSight(view, VIEWPORT, IMAGE).x, view.x);
});

test('a wheel turned up zooms in, whatever the unit', () => {
  for (const deltaMode of [0, 1, 2]) {
    assert.ok(wheelFactor({ deltaY: -3, deltaMode }) > 1);
    assert.ok(wheelFactor({ deltaY: 3, deltaMode }) < 1);
  }
});

test('the nearest point within reach is hit, and of equals the one on top', () => {
  const points = [{ x: 10, y: 10 }, { x: 20, y: 10 }, { x: 20, y: 10 }];
  assert.equal(geometry.nearestPoint(points, { x: 11, y: 10 }, 5), 0);
  assert.equal(geometry.nearestPoint(points, { x: 20, y: 11 }, 5), 2);
  assert.equal(geometry.nearestPoint(points, { x: 100, y: 10 }, 5), -1);
});

test('a node goes on the edge that was pressed, and a ring of two nodes is none', () => {
  const square = { points: [], outline: [[[0, 0], [10, 0], [10, 10], [0, 10]]] };
  const edge = geometry.nearestEdge(square.outline, { x: 5, y: 0.4 }, 2);
  assert.deepEqual([edge.node, edge.x, edge.y], [0, 5, 0]);
  const grown = geometry.insertNode(square, 0, edge.node, edge);
  assert.deepEqual(grown.outline[0][1], [5, 0]);
  assert.equal(geometry.removeNode(square, 0, 3).outline[0].length, 3);
  assert.equal(geometry.removeNode({ points: [], outline: [[[0, 0], [1, 0], [1, 1]]] }, 0, 0).outline, null);
});

test('coordinates are stored in 64ths and stay inside the frame', () => {
  assert.equal(geometry.quantise(1 / 3), 21 / 64);
  const at = geometry.insideFrame({ x: -5, y: 900 }, 480, 360);
  assert.ok(at.x > 0 && at.y < 360);
  assert.deepEqual(geometry.boxOf({ x: 9, y: 2 }, { x: 3, y: 8 }), [3, 2, 9, 8]);
});

function grid(text) {
  const rows = text.trim().split(/\s+/);
  return { ids: Uint8Array.from(rows.join(''), Number), width: rows[0].length, height: rows.length };
}
const area = (xy) => {
  let sum = 0;
  for (let i = 0; i < xy.length; i += 2) {
    const j = (i + 2) % xy.length;
    sum += xy[i] * xy[j + 1] - xy[j] * xy[i + 1];
  }
  return sum / 2;
};

test('a rectangle is one loop around its pixels, a ring has an outer loop and a hole of opposite turn', () => {
  const box = grid('0000 0110 0110 0000');
  assert.equal(traceLoops(box.ids, [0, 1], box.width, box.height).length, 1);
  const ring = grid('11111 10001 10001 11111');
  const loops = traceLoops(ring.ids, [0, 1], ring.width, ring.height);
  assert.equal(loops.length, 2);
  assert.ok(area(loops[0].xy) > 0 && area(loops[1].xy) < 0);
});

test('straight borders collapse: a large box keeps few vertices', () => {
  const ids = new Uint8Array(100 * 100);
  for (let y = 10; y < 90; y++) ids.fill(1, y * 100 + 10, y * 100 + 90);
  const [{ xy }] = traceLoops(ids, [0, 1], 100, 100);
  assert.ok(xy.length / 2 <= 10, `${xy.length / 2} vertices`);
  assert.ok(Math.abs(area(xy) - 6400) < 4);
});

test('exact loops keep every corner of the pixels', () => {
  const { ids, width, height } = grid('000 010 000');
  const [{ xy }] = traceLoops(ids, [0, 1], width, height, true);
  assert.deepEqual([...xy], [1, 1, 2, 1, 2, 2, 1, 2]);
  assert.equal(area(traceLoops(grid('110 100').ids, [0, 1], 3, 2, true)[0].xy), 3);
});

test('pixels that touch only at a corner are two loops', () => {
  const { ids, width, height } = grid('10 01');
  assert.equal(traceLoops(ids, [0, 1], width, height).length, 2);
});

function body(header, ids) {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(4 + json.length + ids.byteLength);
  new DataView(out.buffer).setUint32(0, json.length, true);
  out.set(json, 4);
  out.set(new Uint8Array(ids.buffer), 4 + json.length);
  return out.buffer;
}
const REGIONS = [{ id: 'a', class_id: 3 }, { id: 'b', class_id: 7 }];

test('a region map of 16-bit ids is read whatever the length of its header', () => {
  for (const pad of ['', 'x']) {
    const ids = Uint16Array.from([0, 1, 2, 700]);
    const map = parseRegionMap(body({ width: 2, height: 2, dtype: 'u2', regions: REGIONS, key: `k${pad}` }, ids));
    assert.deepEqual([...map.ids], [0, 1, 2, 700]);
  }
  assert.throws(() => parseRegionMap(body({ width: 9, height: 9, dtype: 'u1', regions: [] }, new Uint8Array(3))), RangeError);
});

const CLASSES = new Map([[3, { id: 3, colour: '#ff0000', priority: 5, order: 0 }], [7, { id: 7, colour: '#0000ff', priority: 5, order: 1 }]]);
const style = (patch = {}) => ({ classes: CLASSES, hidden: {}, opacityOf: {}, opacity: 0.5, bare: false, ...patch });

test('colours follow class, opacity and visibility; bare maps are opaque', () => {
  const map = { ...grid('012'), regions: REGIONS };
  const paint = (patch) => new Uint8Array(colourise(map.ids, colourTable(map, style(patch)), new Uint32Array(3)).buffer);
  assert.deepEqual([...paint().slice(0, 8)], [0, 0, 0, 0, 255, 0, 0, 128]);
  assert.deepEqual([...paint({ hidden: { 3: true } }).slice(4, 8)], [0, 0, 0, 0]);
  assert.equal(paint({ bare: true })[7], 255);
  assert.equal(paint({ opacityOf: { 7: 0.25 } })[11], 64);
});

test('equal priorities: the later class of the template wins, and an accepted mask respects it at once', () => {
  const ranks = classRanks([...CLASSES.values()]);
  assert.ok(ranks.get(7) > ranks.get(3));
  const map = { ...grid('220 000'), regions: REGIONS };
  const all = { x: 0, y: 0, w: 3, h: 2, bits: new Uint8Array(6).fill(1) };
  assert.deepEqual([...paintMask(map, all, { id: 'new', class_id: 3 }, ranks).ids], [2, 2, 3, 3, 3, 3]);
  assert.deepEqual([...paintMask(map, all, { id: 'new', class_id: 7 }, ranks).ids], [3, 3, 3, 3, 3, 3]);
  assert.deepEqual([...map.ids], [2, 2, 0, 0, 0, 0], 'the old map is kept');
});

test('a refined region leaves its old pixels; a deleted one leaves all', () => {
  const map = { ...grid('110 000'), regions: REGIONS };
  const one = { x: 2, y: 1, w: 1, h: 1, bits: Uint8Array.of(1) };
  assert.deepEqual([...paintMask(map, one, { id: 'a', class_id: 3 }, classRanks([...CLASSES.values()])).ids], [0, 0, 0, 0, 0, 1]);
  assert.deepEqual([...withoutRegion(map, 'a').ids], [0, 0, 0, 0, 0, 0]);
});

test('the region under a position is found, outside there is none', () => {
  const map = { ...grid('01 20'), regions: REGIONS };
  assert.equal(regionAt(map, { x: 1.5, y: 0.5 }).id, 'a');
  assert.equal(regionAt(map, { x: 0.5, y: 0.5 }), null);
  assert.equal(regionAt(map, { x: -1, y: 0 }), null);
  assert.equal(regionLoops(map, 'b').length, 1);
  assert.deepEqual(classLoops(map).map((loop) => loop.value).sort(), [3, 7]);
});

test('packed rows open most significant bit first, each row on its own byte', () => {
  const packed = Uint8Array.of(0b10000000, 0b01000000, 0b11111111, 0b11000000);
  assert.deepEqual([...unpackBits(packed, 10, 2)], [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, ...Array(10).fill(1)]);
  assert.throws(() => unpackBits(packed, 10, 3), RangeError);
});

test('a proposal message gives masks whose loops lie in the frame', () => {
  const buffer = body({ type: 'proposal' }, Uint8Array.of(0b11000000, 0b11000000));
  const { header, payload } = splitMessage(buffer);
  assert.equal(header.type, 'proposal');
  const candidate = openCandidate({ id: 'p', score: 1, x: 100, y: 50, w: 2, h: 2, area: 4, offset: 0, length: 2 }, payload);
  assert.deepEqual(boundsOf(candidate.loops), { x1: 100, y1: 50, x2: 102, y2: 52 });
  assert.throws(() => splitMessage(new ArrayBuffer(2)), RangeError);
});

const CHIP = { w: 300, h: 32 };
test('the chip stands below, flips above at the bottom and slides in from the side', () => {
  const below = placeChip({ x1: 300, y1: 100, x2: 500, y2: 200 }, CHIP, VIEWPORT);
  assert.deepEqual(below, { x: 250, y: 208 });
  assert.equal(placeChip({ x1: 300, y1: 480, x2: 500, y2: 590 }, CHIP, VIEWPORT).y, 480 - 8 - 32);
  assert.equal(placeChip({ x1: 700, y1: 100, x2: 790, y2: 200 }, CHIP, VIEWPORT).x, 800 - 300 - 4);
});

test('the chip covers no prompt point and stays inside, whatever the proposal', () => {
  for (let seed = 1; seed < 300; seed++) {
    const r = (k) => Math.abs(Math.sin(seed * 12.9898 + k * 78.233) * 43758.5453) % 1;
    const x1 = r(1) * 780;
    const y1 = r(2) * 580;
    const box = { x1, y1, x2: x1 + r(3) * (800 - x1), y2: y1 + r(4) * (600 - y1) };
    const points = Array.from({ length: 4 }, (_, i) => ({ x: box.x1 + r(5 + i) * (box.x2 - box.x1), y: box.y1 + r(9 + i) * (box.y2 - box.y1) }));
    const spot = placeChip(box, CHIP, VIEWPORT, points);
    assert.ok(spot.x >= 0 && spot.y >= 0 && spot.x + CHIP.w <= 800 && spot.y + CHIP.h <= 600);
    for (const p of points) assert.ok(p.x < spot.x || p.x > spot.x + CHIP.w || p.y < spot.y || p.y > spot.y + CHIP.h, `seed ${seed}`);
  }
});

test('the cache drops what was used least when the bytes run out, never what came last', () => {
  const dropped = [];
  const lru = createLru(100, (value) => dropped.push(value));
  lru.set('a', 1, 40);
  lru.set('b', 2, 40);
  lru.get('a');
  lru.set('c', 3, 40);
  assert.deepEqual(dropped, [2]);
  lru.set('huge', 4, 1000);
  assert.equal(lru.size, 1);
  assert.equal(lru.get('huge'), 4);
  lru.set('huge', 4, 10);
  assert.equal(lru.bytes, 10);
});
