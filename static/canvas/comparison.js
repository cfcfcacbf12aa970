/**
 * Two label maps of one frame, side by side: the frame's own and what a preview made of it. The preview's maps are brought into
 * memory around the shown frame; a frame without one is shown as it is.
 */
import { frameIndex } from './ids.js';
import { classTable } from './labelmap.js';
import { createLru } from './lru.js';

const BYTES = 192 << 20;
const AT_ONCE = 3;
const BEHIND = 3;
const AHEAD = 12;

/** What is seen of the comparison: 'both', 'before' or 'after'; null where the frame is shown alone. Pure. */
export function sideOf({ compared, map, prompt, proposal, draft }) {
  // Who begins to work sees what there is.
  if (!compared?.after || !map || prompt || proposal || draft) return null;
  return compared.held ? 'before' : compared.side;
}

/** Where the border between both stands: {x, top, bottom, left, right} in screen px within what is seen of the frame, or null. Pure. */
export function wipeAt({ view, viewport, width, height }, wipe) {
  const left = Math.max(0, view.x);
  const right = Math.min(viewport.width, view.x + width * view.scale);
  const top = Math.max(0, view.y);
  const bottom = Math.min(viewport.height, view.y + height * view.scale);
  if (right - left < 2 || bottom - top < 2) return null;
  return { x: left + (right - left) * wipe, left, right, top, bottom };
}

/** Frames to bring into memory, most urgent first: the shown one, the next in the direction of travel, some behind. Pure. */
export function wantedAround(index, direction, { start, stop }) {
  const out = [index];
  for (let n = 1; n <= AHEAD; n++) {
    out.push(index + n * direction);
    if (n <= BEHIND) out.push(index - n * direction);
  }
  return out.filter((one) => one >= start && one <= stop);
}

/** Where between left (0) and right (1) the classes of two maps differ, on average; null where they are the same. Pure. */
export function middleOfChange(before, after) {
  const [of, to] = [classTable(before), classTable(after)];
  let sum = 0;
  let n = 0;
  for (let i = 0; i < after.ids.length; i++) {
    if (of[before.ids[i]] === to[after.ids[i]]) continue;
    sum += i % after.width;
    n += 1;
  }
  return n ? (sum / n + 0.5) / after.width : null;
}

export function createComparison({ store, load }) {
  const get = store.get;
  const maps = createLru(BYTES);
  const broken = new Set();
  const loading = new Map();
  let wanted = [];
  let direction = 1;
  let last = 0;

  /** The frame on screen: the one that is wanted comes a moment later. */
  const shown = () => (get().frameId ? frameIndex(get().frameId) : -1);
  const change = (patch) => { if (get().compared) store.set({ compared: { ...get().compared, ...patch } }); };

  function pump() {
    const { compared } = get();
    if (!compared) return;
    for (const index of wanted) {
      if (loading.size >= AT_ONCE) return;
      if (loading.has(index) || maps.has(index) || broken.has(index)) continue;
      const control = new AbortController();
      loading.set(index, control);
      load(compared.job, index, control.signal).then((map) => {
        if (get().compared?.job !== compared.job) return;
        maps.set(index, map, map.ids.byteLength);
        if (shown() === index) show();
      }, () => {
        if (control.signal.aborted || get().compared?.job !== compared.job) return;
        broken.add(index);
        if (shown() === index) show();
      }).finally(() => {
        if (loading.get(index) === control) loading.delete(index);
        pump();
      });
    }
  }

  /** The map of the shown frame, if it is here. */
  function show() {
    const { compared } = get();
    if (!compared) return;
    const index = shown();
    const after = maps.get(index) ?? null;
    const outside = index < compared.start || index > compared.stop;
    const missing = broken.has(index);
    if (after !== compared.after || outside !== compared.outside || missing !== compared.missing) change({ after, outside, missing });
    place();
  }

  /** The border begins where the first frame that is seen changes, not beside it. */
  function place() {
    const { compared, map, view, viewport, width } = get();
    if (!compared?.after || compared.placed || !map || map.ids.length !== compared.after.ids.length) return;
    const middle = middleOfChange(map, compared.after);
    const seen = wipeAt(get(), 0);
    if (middle === null || !seen || !viewport.width) return;
    const wipe = (view.x + middle * width * view.scale - seen.left) / (seen.right - seen.left);
    change({ placed: true, wipe: Math.min(0.9, Math.max(0.1, wipe)) });
  }

  function follow() {
    const { compared, index } = get();
    if (!compared) return;
    if (index !== last) direction = index > last ? 1 : -1;
    last = index;
    wanted = wantedAround(index, direction, compared);
    for (const [other, control] of loading) {
      if (!wanted.includes(other)) {
        control.abort();
        loading.delete(other);
      }
    }
    show();
    pump();
  }

  store.on((state, changed) => {
    if (!state.compared) return;
    if (changed.has('index')) follow();
    else if (changed.has('frameId') || changed.has('map')) show();
    // It is painted or not by whether somebody works: see sideOf.
    else if (['prompt', 'proposal', 'draft'].some((key) => changed.has(key))) change({});
  });

  return {
    open({ job, start, stop }) {
      maps.clear();
      broken.clear();
      last = get().index;
      store.set({ compared: { job, start, stop, side: 'both', held: false, wipe: 0.5, after: null, outside: false, missing: false, placed: false } });
      follow();
    },
    close() {
      for (const control of loading.values()) control.abort();
      loading.clear();
      maps.clear();
      store.set({ compared: null });
    },
    setSide: (side) => change({ side }),
    hold: (held) => { if (get().compared && get().compared.held !== held) change({ held }); },
    setWipe: (wipe) => change({ placed: true, wipe: Math.min(1, Math.max(0, Math.round(wipe * 1000) / 1000)) }),
  };
}
