/**
 * Answers about flicker, kept: asked for one at a time, the newest wish first, and never twice while one is under way.
 * What was dropped is still shown until its new answer came.
 */
import { createLru } from '../canvas/lru.js';

const KEPT = 128;
/** So long nothing is asked for again after it failed. */
const PAUSE_MS = 5000;

/**
 * @param load ({key, …}) → promise of an answer
 * @param on {came(), failed(error)}
 */
export function createCurves({ load, on, now = () => performance.now() }) {
  const kept = createLru(KEPT);
  let age = 0;
  let wanted = [];
  let under = null;
  let rest = 0;

  const isFresh = (key) => kept.get(key)?.age === age;

  async function pump() {
    const next = wanted.find(({ key }) => !isFresh(key));
    if (under || !next || now() < rest) return;
    under = next.key;
    const asked = age;
    let failed = null;
    try {
      kept.set(next.key, { age: asked, curve: await load(next) }, 1);
    } catch (error) {
      failed = error;
      rest = now() + PAUSE_MS;
    }
    under = null;
    if (failed) on.failed(failed);
    else on.came();
    pump();
  }

  return {
    get: (key) => kept.get(key)?.curve ?? null,
    /** What is to be seen now, the most important first; what was wished for before and is not among it is let go. */
    want(list) {
      wanted = list;
      pump();
    },
    /** Everything may have changed. */
    drop() {
      age += 1;
      rest = 0;
      pump();
    },
  };
}
