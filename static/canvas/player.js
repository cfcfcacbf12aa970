/**
 * Playback at the asset's rate, by the frames' own times. A frame that is due but not in memory holds the clock, and
 * the state says so; where painting or loading cannot keep up, frames are left out and counted, never out of order.
 */
import { advance, following, gapOf, startOf, upcoming } from './clock.js';
import { URGENT } from './loader.js';

/** Frames in memory before the clock starts, and starts again: so many seconds of playback. */
const START_S = 0.4;
const RESUME_S = 0.5;
const AHEAD_S = 2;
const AHEAD_FRAMES = 72;
const BUFFERING_AFTER_MS = 300;
const MAX_STRIDE = 8;
/** A hiccup is no reason to leave frames out: loading has to be this much slower than playback. */
const SLACK = 0.3;
/** So long without waiting, and more frames are tried again. */
const CALM_MS = 6000;
const SCREEN_FPS = 60;

export const SPEEDS = [0.5, 1, 2, 4];

/** @param clockNow, nextBeat: the browser's clock, ms, and who calls back before it paints */
export function createPlayer({ store, frames, clockNow = () => performance.now(), nextBeat = requestAnimationFrame }) {
  const get = store.get;
  let run = 0;
  let backward = false;
  /** The frame that playback has put on screen; `fresh` while it still has to. */
  let shown = 0;
  let fresh = false;
  let clock = { at: 0, since: 0 };
  /** {since, seconds, missing, slow}: since when the clock is held, what has to be in memory before it goes on, how
   * many frames of that were not, and whether that happened shortly after the last time. */
  let waiting = null;
  let stride = 1;
  let calmSince = 0;
  let dropped = 0;

  function play() {
    const { total, loop, range, speed, fps } = get();
    return { total, loop, range, speed, fps, backward, stride: spacing(), timeOf: frames.timeOf };
  }

  function stop() {
    if (!get().playing) return;
    run += 1;
    store.set({ playing: false, buffering: false, dropped });
    if (fresh && !frames.isOnScreen(shown)) {
      frames.goto(shown);
      return;
    }
    // What is on screen is what is worked on, even where another frame was about to come.
    frames.rest(backward ? -1 : 1);
  }

  /** Hold the clock until the next frames are in memory. */
  function wait(now, seconds) {
    const next = nextOnes(seconds);
    waiting = { since: now, seconds, missing: next.filter((index) => !isHere(index)).length };
  }

  const isHere = (index) => frames.isReady(index) || frames.isBroken(index);

  /** More than a screen shows are not worth loading. */
  const spacing = () => Math.max(stride, Math.ceil(perSecond(get()) / SCREEN_FPS));
  const perSecond = (state) => (state.fps > 0 ? state.fps : 10) * state.speed;

  /** How many frames are brought into memory beyond the one shown. */
  const ahead = (state) => frames.roomFor(Math.min(AHEAD_FRAMES, Math.max(4, Math.ceil((perSecond(state) * AHEAD_S) / state.stride))));

  function want() {
    const state = play();
    const count = ahead(state);
    const next = upcoming(shown, count, state);
    frames.want([shown, ...next], { spacing: state.stride, more: next.length === count });
  }

  /** The frames of the next seconds, with the one that has to be shown first. */
  function nextOnes(seconds) {
    const state = play();
    // Not more than the loader hurries for.
    const count = Math.max(1, Math.min(Math.ceil((seconds * perSecond(state)) / state.stride), Math.floor(ahead(state) * URGENT)));
    return [...(fresh ? [shown] : []), ...upcoming(shown, count, state)];
  }

  function put(index) {
    shown = index;
    fresh = false;
    frames.show(index);
    want();
  }

  /** The clock is held; true once it goes on. */
  function resumed(now) {
    if (!nextOnes(waiting.seconds).every(isHere)) {
      if (!get().buffering && now - waiting.since > BUFFERING_AFTER_MS) store.set({ buffering: true });
      // What was changed meanwhile is to be loaded once more.
      want();
      return false;
    }
    if (waiting.slow) {
      // Frames come more slowly than they are played: some of them in time beat all of them late.
      const each = (now - waiting.since) / Math.max(1, waiting.missing);
      const share = (each * perSecond(get())) / 1000;
      stride = Math.min(MAX_STRIDE, Math.max(stride, Math.ceil(share - SLACK)));
    }
    waiting = null;
    calmSince = now;
    if (get().buffering) store.set({ buffering: false });
    const next = following(shown, play());
    if (fresh && frames.isReady(shown)) {
      put(shown);
      clock = { at: shown, since: now };
    } else {
      // The frame before was seen for long enough: the next one is due at once.
      clock = { at: shown, since: next === null ? now : now - (gapOf(shown, next, play()) * 1000) / get().speed };
    }
    fresh = false;
    return true;
  }

  function tick(now) {
    if (!get().playing) return;
    if (get().index !== shown) {
      // Something else went to another frame: playback is over, and that frame stays.
      run += 1;
      store.set({ playing: false, buffering: false, dropped });
      return;
    }
    if (waiting && !resumed(now)) return;
    const before = clock;
    const due = advance(clock, now, play());
    clock = { at: due.at, since: due.since };
    const newest = due.path.findLastIndex(({ at }) => frames.isReady(at));
    if (newest >= 0) {
      clock = due.path[newest];
      put(clock.at);
      const skipped = backward ? before.at - clock.at : clock.at - before.at;
      // Over the seam of a loop the indices say nothing.
      dropped += skipped > 0 ? skipped - 1 : newest;
      if (now - calmSince > CALM_MS && stride > 1) {
        stride -= 1;
        calmSince = now;
      }
      if (dropped - get().dropped >= 10) store.set({ dropped });
    } else if (due.path.length && due.path.every(({ at }) => frames.isBroken(at))) {
      if (due.ended) stop();
      return;
    } else if (due.path.length) {
      clock = before;
      wait(now, RESUME_S);
      waiting.slow = now - calmSince < CALM_MS;
      want();
      return;
    }
    if (due.ended && clock.at === shown) stop();
  }

  function begin(index) {
    const mine = ++run;
    shown = index;
    fresh = true;
    stride = 1;
    dropped = 0;
    calmSince = -Infinity;
    store.set({ playing: true, buffering: false, dropped: 0, index, prompt: null });
    wait(clockNow(), START_S);
    want();
    const beat = (now) => {
      if (mine !== run) return;
      tick(now);
      nextBeat(beat);
    };
    nextBeat(beat);
  }

  function start(back = false) {
    if (get().total < 2) return;
    backward = back;
    begin(startOf(get().index, play()));
  }

  // Whoever starts to work does so on the frame they see.
  store.on((state, changed) => {
    if (state.playing && ['gesture', 'prompt', 'selected'].some((key) => changed.has(key) && state[key])) stop();
  });
  globalThis.document?.addEventListener('visibilitychange', () => { if (document.hidden) stop(); });

  return {
    /** `back`: play backward. What plays stops, whichever way it plays. */
    toggle: (back = false) => (get().playing ? stop() : start(back)),
    stop,
    /** Go on from `index`: playing where it plays. */
    seek(index) {
      if (!get().playing) return frames.goto(index);
      const target = Math.min(Math.max(Math.round(index), 0), get().total - 1);
      if (target === shown) return undefined;
      shown = target;
      fresh = true;
      stride = 1;
      store.set({ index: target });
      wait(clockNow(), START_S);
      want();
      return undefined;
    },
    setSpeed(speed) {
      if (SPEEDS.includes(speed)) store.set({ speed });
    },
    /** One step faster (1) or slower (-1). */
    changeSpeed(by) {
      const at = SPEEDS.indexOf(get().speed) + by;
      if (at >= 0 && at < SPEEDS.length) store.set({ speed: SPEEDS[at] });
    },
    toggleLoop: () => store.set({ loop: !get().loop }),
  };
}
