import assert from 'node:assert/strict';
import test from 'node:test';
import { difference, simulate } from '../../static/pages/colour_vision.js';
import { runsOf } from '../../static/pages/picked.js';
import { attributeProblems, chainOf, indented, moved, nested, problemsOf, rowsOf, ruleProblems } from '../../static/pages/rulebook.js';
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

test('a class goes under the sibling above it and back beside its parent', () => {
  const classes = [cls(1, 5), cls(2, 4)];
  const inside = indented(classes, 2, 1);
  assert.equal(inside[1].parent, 1);
  assert.equal(indented(inside, 2, -1)[1].parent, null);
  assert.equal(indented(classes, 1, 1), classes);
  assert.equal(indented(classes, 1, -1), classes);
});

test('a class cannot be put under one that lies below it', () => {
  const classes = [cls(1, 5), cls(2, 4, { parent: 1 })];
  assert.deepEqual(nested(classes, 1, 2), classes);
});

const rule = (key, class_id, kind = 'name') => ({ kind, key, class_id });

test('a rule leads on where the name of its class is the key of another', () => {
  const classes = [cls(1, 5), cls(2, 4), cls(3, 3)];
  const rules = [rule('x', 1), rule('C1', 2), rule('#102030', 3, 'colour'), rule('c3', null)];
  assert.deepEqual(rules.map((r) => chainOf(classes, rules, r)), [[1, 2], [2], [3, 0], [0]]);
  assert.equal(ruleProblems(classes, rules).size, 0);
});

test('rules that cannot stand are named, circles with all their classes', () => {
  const classes = [cls(1, 5), cls(2, 4)];
  const rules = [rule('c1', 2), rule('c2', 1), rule('into', 2), rule('', 1), rule('x', 9), rule('7.5', 1, 'value'), rule('red', 1, 'colour')];
  const wrong = ruleProblems(classes, rules);
  assert.deepEqual(wrong.get(0), ['rule_circle', { chain: 'c2 → c1 → c2' }]);
  assert.deepEqual([...wrong.values()].map(([key]) => key).sort(), ['colour_bad', 'rule_circle', 'rule_circle', 'rule_class_gone', 'rule_empty', 'rule_value_bad']);
});

test('two rules for one key, and one that leads a class to itself, are named', () => {
  const classes = [{ ...cls(1, 5), name: 'traffic sign' }];
  const wrong = ruleProblems(classes, [rule('Traffic_Sign', 1), rule('van', 1), rule('VAN', null)]);
  assert.deepEqual([...wrong], [[0, ['rule_itself', { name: 'traffic sign' }]], [2, ['rule_twice', { key: 'VAN' }]]]);
});

test('attributes that make no sense are named', () => {
  const attribute = (name, more = {}) => ({ name, kind: 'text', choices: [], default: '', ...more });
  const attributes = [attribute(''), attribute('a', { kind: 'choice' }), attribute('a'), attribute('b', { kind: 'number', default: 'x' }), attribute('c', { kind: 'choice', choices: ['x', 'x'] }), attribute('d', { kind: 'check', default: 'yes' })];
  assert.deepEqual([...attributeProblems({ attributes })].map(([i, [key]]) => [i, key]), [[0, 'attribute_empty'], [1, 'choices_empty'], [2, 'attribute_twice'], [3, 'default_bad'], [4, 'choices_twice']]);
  assert.ok(problemsOf([cls(1, 1, { attributes })]).get(1).attributes);
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

test('chosen frames that lie side by side are one run, in each asset', () => {
  const picked = [['a', 5], ['b', 5], ['a', 3], ['a', 4], ['a', 4], ['a', 9]].map(([asset, index]) => ({ asset, index }));
  assert.deepEqual(runsOf(picked), [
    { asset: 'a', start: 3, stop: 5 },
    { asset: 'a', start: 9, stop: 9 },
    { asset: 'b', start: 5, stop: 5 },
  ]);
  assert.deepEqual(runsOf([]), []);
});
