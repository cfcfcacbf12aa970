/**
 * Brings wanted frames into memory, the most urgent first. What is not wanted any more is broken off; what failed is
 * let alone for a while.
 */
import { Unreachable } from './queue.js';

/** Browsers keep six connections to one server, and events and thumbs need theirs. */
const IMAGES_AT_ONCE = 3;
const CLIPS_AT_ONCE = 2;
const CLIP_FRAMES = 12;
const RETRY_MS = 1500;
/** This share of the wanted frames is asked for however few they are. */
export const URGENT = 1 / 3;

/**
 * @param hasImage, hasFacts (index) → boolean: what is in memory and up to date
 * @param image (index, signal) → Promise
 * @param clip ({start, count, step}, signal, onFrame(index, view, map)) → Promise
 * @param take (index, view, map): something came of `clip`
 */
export function createLoader({ hasImage, hasFacts, image, clip, take, later = setTimeout }) {
  const images = new Map();
  const clips = new Set();
  const failed = new Set();
  const broken = new Set();
  let wanted = [];
  let wantedSet = new Set();
  let step = 1;
  let patient = false;
  let retrying = false;

  const inClip = (index) => [...clips].some((one) => one.missing.has(index));
  const needsFacts = (index) => wantedSet.has(index) && !hasFacts(index) && !inClip(index) && !failed.has(`clip ${index}`);

  // Two at once would share what draws the maps, and the urgent one came later: the next is asked for in time to be no gap.
  const isHalfDone = (one) => one.missing.size <= CLIP_FRAMES / 2;
  const mayAsk = () => clips.size < CLIPS_AT_ONCE && [...clips].every(isHalfDone);

  function fail(key) {
    failed.add(key);
    if (retrying) return;
    retrying = true;
    later(() => {
      retrying = false;
      failed.clear();
      pump();
    }, RETRY_MS);
  }

  function loadImage(index) {
    const control = new AbortController();
    images.set(index, control);
    image(index, control.signal).catch((error) => {
      if (control.signal.aborted) return;
      // A picture that is not there, or is none, will not come by asking again.
      if (error instanceof Unreachable) fail(`image ${index}`);
      else broken.add(index);
    }).finally(() => {
      if (images.get(index) === control) images.delete(index);
      pump();
    });
  }

  /** The wanted frames about `index` that lack their facts, as one evenly spaced row. */
  function rowAbout(index) {
    let [low, high] = [index, index];
    for (let n = 1; n < CLIP_FRAMES; n++) {
      if (needsFacts(high + step)) high += step;
      else if (needsFacts(low - step)) low -= step;
      else break;
    }
    return { start: low, count: (high - low) / step + 1, step };
  }

  /** `place`: how urgent it is. In playback the row grows with every frame shown: what has time waits to be many. */
  function loadClip(index, place) {
    const row = rowAbout(index);
    const grows = patient && row.count < CLIP_FRAMES && [row.start, row.start + (row.count - 1) * step].includes(wanted[wanted.length - 1]);
    if (grows && place > wanted.length * URGENT) return;
    const one = { control: new AbortController(), missing: new Set() };
    for (let i = 0; i < row.count; i++) one.missing.add(row.start + i * step);
    clips.add(one);
    clip(row, one.control.signal, (at, view, map) => {
      // Meanwhile the frame was changed: this answer may be from before.
      if (one.missing.delete(at)) take(at, view, map);
      if (isHalfDone(one)) pump();
    }).then(() => { for (const at of one.missing) broken.add(at); }, (error) => {
      if (one.control.signal.aborted) return;
      for (const at of one.missing) {
        if (error instanceof Unreachable) fail(`clip ${at}`);
        else broken.add(at);
      }
    }).finally(() => {
      clips.delete(one);
      pump();
    });
  }

  function pump() {
    for (const [place, index] of wanted.entries()) {
      if (images.size < IMAGES_AT_ONCE && !images.has(index) && !hasImage(index) && !broken.has(index) && !failed.has(`image ${index}`)) loadImage(index);
      if (mayAsk() && needsFacts(index) && !broken.has(index)) loadClip(index, place);
      if (images.size >= IMAGES_AT_ONCE && !mayAsk()) return;
    }
  }

  return {
    /** These frames, most urgent first; `spacing`: frames between two of them; `more`: others will follow. */
    want(indices, { spacing = 1, more = false } = {}) {
      wanted = indices;
      patient = more;
      wantedSet = new Set(indices);
      step = spacing;
      for (const [index, control] of images) if (!wantedSet.has(index)) { control.abort(); images.delete(index); }
      for (const one of clips) if (![...one.missing].some((index) => wantedSet.has(index))) { one.control.abort(); clips.delete(one); }
      pump();
    },
    /** What is under way about a frame (all of them without an index) was true before a change. */
    forget(index = null) {
      for (const one of clips) {
        if (index === null) one.missing.clear();
        else one.missing.delete(index);
      }
      if (index === null) broken.clear();
      else broken.delete(index);
    },
    pump,
    /** There is no picture of this frame. */
    isBroken: (index) => broken.has(index),
  };
}
