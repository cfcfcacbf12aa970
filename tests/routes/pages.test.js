import assert from 'node:assert/strict';
import test from 'node:test';
import { difference, simulate } from '../../static/pages/colour_vision.js';
import { moved, problemsOf, rowsOf } from '../../static/pages/rulebook.js';
import { crc32, zipOf } from '../../static/pages/zip.js';

const cls = (id, priority, more = {}) => ({ id, name: `c${id}`, colour: '#102030', priority, parent: null, shortcut: '', value: null, ...more });
const ids = (classes) => rowsOf(classes).map((row) => row.cls.id);

test('the winner comes first, and of equals the later one', () => {
  assert.deepEqual(ids([cls(1, 5), cls(2, 9), cls(3, 5)]), [2, 3, 1]);
});

test('children stand below their parent whatever their priority', () => {
  const rows = rowsOf([cls(1, 5), cls(2, 9, { parent: 1 }), cls(3, 7)]);
  assert.deepEqual(rows.map((row) => [row.cls.id, row.depth]), [[3, 0], [1, 0], [2, 1]]);
});

test('a class whose parent is gone is still there', () => {
  assert.deepEqual(ids([cls(1, 5, { parent: 99 })]), [1]);
});

test('classes in a circle of parents can still be reached', () => {
  assert.deepEqual(ids([cls(1, 5, { parent: 2 }), cls(2, 5, { parent: 1 })]).sort(), [1, 2]);
});

test('a moved class takes a priority between its neighbours', () => {
  const next = moved([cls(1, 30), cls(2, 20), cls(3, 10)], 3, 1, true);
  assert.equal(next.find((c) => c.id === 3).priority, 25);
  assert.deepEqual(ids(next), [1, 3, 2]);
});

test('where no number is left between two, all get new ones in their order', () => {
  const next = moved([cls(1, 3), cls(2, 2), cls(3, 1)], 3, 1, true);
  assert.deepEqual(ids(next), [1, 3, 2]);
  assert.equal(new Set(next.map((c) => c.priority)).size, 3);
});

test('a class cannot be moved below itself', () => {
  const classes = [cls(1, 5), cls(2, 4, { parent: 1 })];
  assert.deepEqual(moved(classes, 1, 2, true), classes);
});

test('every contradiction is named on both classes', () => {
  const wrong = problemsOf([cls(1, 1, { shortcut: 'a', name: 'x' }), cls(2, 1, { shortcut: 'A', name: 'x', value: 1, colour: 'red' })]);
  assert.deepEqual(Object.keys(wrong.get(2)).sort(), ['colour', 'name', 'shortcut', 'value']);
  assert.deepEqual(Object.keys(wrong.get(1)).sort(), ['name', 'shortcut', 'value']);
});

test('numbers outside their range, and none at all, are named', () => {
  const wrong = problemsOf([cls(1, Number.NaN), cls(2, 1, { value: 65536 }), cls(3, 2_000_000)]);
  assert.deepEqual([...wrong.keys()], [1, 2, 3]);
});

test('a circle of parents is named', () => {
  assert.equal(problemsOf([cls(1, 1, { parent: 2 }), cls(2, 1, { parent: 1 })]).get(1).parent[0], 'cycle');
});

test('red and green grow alike to deutan eyes, black and white stay as they are', () => {
  assert.ok(difference('#a05000', '#707000', 'deutan') < difference('#a05000', '#707000') / 2);
  assert.equal(simulate('#ffffff', 'protan'), '#ffffff');
  assert.equal(simulate('#000000', 'tritan'), '#000000');
});

test('the checksum is the one of the standard', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
});

test('a packed folder has one entry for each file, in order', async () => {
  const blob = await zipOf([new File(['one'], 'a.png'), new File(['three'], 'ü.png')]);
  const view = new DataView(await blob.arrayBuffer());
  assert.equal(view.getUint32(0, true), 0x04034b50);
  const end = view.byteLength - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50);
  assert.equal(view.getUint16(end + 10, true), 2);
  assert.equal(view.getUint32(view.getUint32(end + 16, true), true), 0x02014b50);
});
