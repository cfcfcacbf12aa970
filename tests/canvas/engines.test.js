import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineFor, needsOf, nextEngine, obstacle, tracker } from '../../static/canvas/engines.js';

const classic = { id: 'classic', can: ['points', 'box', 'reach'], available: true };
const sam3 = { id: 'sam3', can: ['points', 'box', 'text', 'exemplars', 'track'], available: false, reason: 'The weights of sam3 are not here.' };
const sam2 = { id: 'sam2', can: ['points', 'box', 'track'], available: true };
const labels = { id: 'deeplabv3', can: ['label'], available: true };
const ENGINES = [classic, sam3, sam2, labels];
const chosen = (engine, engines = ENGINES) => ({ engine, engines });

test('a prompt needs what is in it', () => {
  assert.deepEqual(needsOf({ points: [{}], box: null, text: null, exemplars: [] }), ['points']);
  assert.deepEqual(needsOf({ points: [], box: [0, 0, 1, 1], text: 'car', exemplars: [{}] }), ['text', 'exemplars', 'box']);
});

test('the next engine is one that runs and answers clicks; a single one stays', () => {
  assert.equal(nextEngine(ENGINES, 'classic'), 'sam2');
  assert.equal(nextEngine(ENGINES, 'sam2'), 'classic');
  assert.equal(nextEngine(ENGINES, 'sam3'), 'classic');
  assert.equal(nextEngine([classic, labels], 'classic'), 'classic');
  assert.equal(nextEngine([], 'classic'), 'classic');
});

test('what an engine cannot do is named with one that can, a ready one before others', () => {
  assert.equal(obstacle(chosen('classic'), ['points', 'box']), null);
  assert.deepEqual(obstacle(chosen('classic'), ['text']), { key: 'refuse.lacks_text', args: { engine: 'classic', other: 'sam3' } });
  assert.equal(obstacle(chosen('classic', [...ENGINES, { ...sam3, id: 'own', available: true }]), ['exemplars']).args.other, 'own');
  assert.deepEqual(obstacle(chosen('sam3'), ['points']), { key: 'refuse.engine_off', args: { engine: 'sam3', reason: sam3.reason } });
  assert.equal(obstacle(chosen('gone'), ['points']).key, 'refuse.engine_off');
  assert.equal(engineFor(ENGINES, 'matte'), null);
});

test('the chosen engine tracks if it can, else a ready one, else none', () => {
  assert.equal(tracker([...ENGINES, { ...sam2, id: 'own' }], 'own').id, 'own');
  assert.equal(tracker(ENGINES, 'classic').id, 'sam2');
  assert.equal(tracker([classic, sam3], 'sam3'), null);
  assert.equal(tracker([{ ...sam2, id: 'interpolate' }], 'interpolate'), null);
});
