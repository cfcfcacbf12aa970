/** Playback at the asset's rate. A frame that is not in memory yet stops the clock instead of being skipped. */

const AHEAD = 12;

export function createPlayer({ store, frames }) {
  let run = 0;

  function stop() {
    if (!store.get().playing) return;
    run += 1;
    store.set({ playing: false });
    frames.goto(store.get().index);
  }

  function play() {
    const { total, index, fps } = store.get();
    if (total < 2) return;
    const mine = ++run;
    const rate = Math.min(Math.max(fps || 10, 1), 60);
    let at = index >= total - 1 ? 0 : index;
    let clock = null;
    let filled = at;
    let filling = false;
    const stopFill = new AbortController();
    store.set({ playing: true });

    function fill() {
      if (filling || filled > at + AHEAD / 2) return;
      filling = true;
      frames.fill(Math.max(at, filled), AHEAD, stopFill.signal)
        .then(() => { filled = Math.max(at, filled) + AHEAD; }, stop)
        .finally(() => { filling = false; });
    }

    function tick(now) {
      if (mine !== run) {
        stopFill.abort();
        return;
      }
      clock ??= now;
      fill();
      const due = Math.floor(((now - clock) * rate) / 1000);
      if (due >= 1) {
        const next = Math.min(at + due, total - 1);
        // Not decoded yet: try the very next one, and let the clock wait.
        const shown = frames.showIfReady(next) ? next : frames.showIfReady(at + 1) ? at + 1 : at;
        clock = shown === next ? clock + (due * 1000) / rate : now;
        at = shown;
        if (at >= total - 1) {
          stopFill.abort();
          stop();
          return;
        }
      }
      requestAnimationFrame(tick);
    }
    requestAnimationFrame(tick);
  }

  return { toggle: () => (store.get().playing ? stop() : play()), stop };
}
