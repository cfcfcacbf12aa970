/** Tells the server which frames a person really looked at: opened, and stayed there while nothing played. */

import { frameIndex } from '../canvas/ids.js';

/** Who stays shorter than this passes by. */
export const LOOK_MS = 700;

/**
 * @param send (frame id) → promise; a failure is nobody's business here, the next look is told again
 * @param isVisible () → whether the page is to be seen at all
 */
export function createSeen({ store, send, isVisible = () => !document.hidden, later = setTimeout, drop = clearTimeout }) {
  const told = new Set();
  const waiting = [];
  let timer = 0;
  let sending = null;

  async function pump() {
    while (waiting.length) {
      const id = waiting.shift();
      try {
        await send(id);
      } catch {
        told.delete(id);
      }
    }
    sending = null;
  }

  function look() {
    drop(timer);
    timer = 0;
    const { frameId, index, playing } = store.get();
    // The number of the frame moves on before its picture is there: then this one is left already.
    if (!frameId || playing || told.has(frameId) || frameIndex(frameId) !== index) return;
    timer = later(() => {
      timer = 0;
      const now = store.get();
      if (now.frameId !== frameId || now.playing || !isVisible()) return;
      told.add(frameId);
      waiting.push(frameId);
      sending ??= pump();
    }, LOOK_MS);
  }

  store.on((state, changed) => {
    if (['index', 'frameId', 'playing'].some((key) => changed.has(key))) look();
  });
  look();
  return {
    /** Resolves when every look that was told has arrived, or failed. */
    settled: async () => { await sending; },
  };
}
