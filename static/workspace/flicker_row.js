/**
 * The flicker row under the frames: bars against a dashed limit. It asks the server once the open frame is there and the
 * strip stands still, and keeps the answers; what changes meanwhile is marked here, without asking.
 */
import { el } from '../canvas/dom.js';
import { frameIndex, newId } from '../canvas/ids.js';
import { barsIn, isMeasured, keyOf, overIn, staleOf, stepOf, subjectOf, tilesOf, touch, wholeStep, TILE } from './flicker.js';
import { createCurves } from './flicker_curves.js';
import { createFlickerMenu } from './flicker_menu.js';
import { paintFlicker } from './flicker_paint.js';
import { nextMark } from './jumps.js';
import { trackedBy } from '../canvas/tracks.js';
import { cleared } from './palette.js';
import { spaced } from './ruler.js';
import { lengthOf } from './runs.js';

const STILL_MS = 140;
const RELOAD_MS = 1500;
const OPEN = new Set(['waiting', 'running', 'paused']);
/** Jobs after which frames are measured anew, or other frames count as measured. */
const MEASURES = new Set(['measure', 'stabilise']);
const ALL = { classId: 0, trackId: '' };

/** @param on {changed()} */
export function createFlicker({ store, transport, data, t, say, on }) {
  const { asset } = data;
  const get = store.get;
  const memory = 'pointillist flicker';
  const chosen = { scope: 'all', series: 'warped', ...recall(memory) };
  const canvas = el('canvas', { 'aria-hidden': 'true' });
  const words = el('span', {});
  const act = el('button', { type: 'button', class: 'btn sm' });
  const note = el('div', { class: 'pt-flk-note', hidden: true }, words, act);
  const track = el('div', { class: 'pt-track pt-flicker', role: 'slider', tabindex: '0', 'aria-label': t('flicker.row', { name: asset?.name ?? '' }), 'aria-valuemin': '1' }, canvas);
  const menu = createFlickerMenu({ t, on: {
    scope: (scope) => choose({ scope }), series: (series) => choose({ series }), measure,
  } });

  let ready = false;
  let touched = [];
  let measuring = null;
  let failure = '';
  let still = 0;
  let reloading = 0;
  let view = null;
  let subject = subjectOf(chosen.scope, get());

  const curves = createCurves({
    load: ({ about, step, tile }) => {
      const start = tile * TILE * step;
      const stop = Math.min(view.total, start + TILE * step) - 1;
      return transport.curve(asset.id, { class_id: about.classId, track_id: about.trackId, start, stop, most: Math.ceil((stop + 1 - start) / step) });
    },
    on: {
      came() {
        failure = '';
        on.changed();
      },
      failed(error) {
        failure = error.message;
        on.changed();
      },
    },
  });
  const wish = (about, step, tile) => ({ key: keyOf(about, step, tile), about, step, tile });
  const whole = (about) => curves.get(keyOf(about, wholeStep(view?.total ?? 1), 0));
  const covering = (start) => {
    const step = stepOf(view.cell);
    return curves.get(keyOf(subject, step, Math.floor(start / step / TILE))) ?? whole(subject);
  };

  function askFor() {
    still = 0;
    if (!ready || !view?.width || !view.total) return;
    const step = stepOf(view.cell);
    curves.want([wish(ALL, wholeStep(view.total), 0), ...tilesOf(view, step).map((tile) => wish(subject, step, tile)),
      wish(subject, wholeStep(view.total), 0)]);
  }
  function askSoon() {
    clearTimeout(still);
    if (ready) still = setTimeout(askFor, STILL_MS);
  }
  /** Asked for anew, but never more often than every RELOAD_MS. */
  function reload() {
    reloading ||= setTimeout(() => {
      reloading = 0;
      touched = [];
      curves.drop();
      askSoon();
    }, RELOAD_MS);
  }

  function choose(patch) {
    Object.assign(chosen, patch);
    try { localStorage.setItem(memory, JSON.stringify(chosen)); } catch { /* Private windows may refuse. */ }
    follow();
    on.changed();
  }
  function follow() {
    const next = subjectOf(chosen.scope, get());
    if (next.classId === subject.classId && next.trackId === subject.trackId) return;
    subject = next;
    on.changed();
    askSoon();
  }

  // ---- what was measured, and what changed since
  async function measure() {
    if (measuring) return;
    try {
      take(await transport.measure({ asset_id: asset.id, id: newId() }));
    } catch (error) {
      say(error.message, 'error');
    }
  }
  function take(job) {
    if (!job?.id || !MEASURES.has(job.kind) || job.project_id !== data.project.id || (job.asset_id && job.asset_id !== asset.id)) return;
    if (OPEN.has(job.state)) {
      if (job.kind === 'measure') measuring = job;
    } else {
      if (measuring?.id === job.id) measuring = null;
      if (job.state === 'failed' && job.kind === 'measure') say(job.reason || t('flicker.failed'), 'error');
      reload();
    }
    on.changed();
  }
  document.body.addEventListener('pt-raw-job', ({ detail }) => take(detail));
  function changed(frame) {
    const index = frame?.startsWith(`${asset?.id}-`) ? frameIndex(frame) : -1;
    if (index >= 0) {
      touched = touch(touched, index, view?.total ?? index + 2);
      on.changed();
    } else if (!frame) reload();
  }
  // Another order of the classes may change every frame.
  document.body.addEventListener('pt-raw-template', () => reload());
  document.addEventListener('pt:regions', ({ detail }) => { if (detail?.frame_id) changed(detail.frame_id); });
  document.body.addEventListener('pt-raw-regions', ({ detail }) => changed(detail?.frame_id));
  // The row comes after the frame, never before it.
  document.addEventListener('pt:frame', () => {
    if (ready) return;
    ready = true;
    askSoon();
  });
  store.on((state, what) => {
    if (['selected', 'regions', 'classId'].some((key) => what.has(key)) && !state.playing) follow();
  });

  function nameOf({ classId, trackId }) {
    const { lanes, classes } = get();
    return (trackId && lanes && trackedBy(lanes, trackId)?.name) || classes.get(classId)?.name || t('flicker.all');
  }

  function showNote(known) {
    // Without regions there is nothing to measure, which the lanes below say.
    const empty = known && !isMeasured(known) && (measuring || get().lanes?.classes.length);
    const job = measuring;
    note.hidden = !(failure && !known) && !empty;
    if (note.hidden) return;
    const progress = job?.total ? t('flicker.measuring_of', { n: spaced(job.done), m: spaced(job.total) }) : t('flicker.measuring');
    const text = failure && !known ? t('flicker.unread') : job ? progress : t('flicker.none_yet');
    if (words.textContent !== text) words.textContent = text;
    act.hidden = Boolean(job);
    act.textContent = t(failure && !known ? 'flicker.retry' : 'flicker.measure');
  }
  act.addEventListener('click', () => {
    if (failure && !whole(ALL)) {
      failure = '';
      curves.drop();
      askSoon();
    } else measure();
  });

  const model = (step) => ({ step, series: chosen.series, touched, whole: whole(ALL) });
  const barAt = (index) => {
    if (!view?.total) return null;
    const step = stepOf(view.cell);
    const start = Math.floor(index / step) * step;
    return barsIn(covering, { scroll: start * view.cell, width: view.cell, cell: view.cell, total: view.total }, model(step))[0] ?? null;
  };
  function sentences(index) {
    const bar = barAt(index);
    if (!bar || !whole(ALL)) return [];
    if (bar.value === null) return [t(!bar.known ? 'flicker.not_measured' : bar.cut ? 'flicker.cut' : 'flicker.no_before')];
    const { limit } = covering(bar.start);
    const value = bar.value.toFixed(2);
    const lines = [chosen.series === 'raw' ? t('flicker.raw_is', { value })
      : t(bar.over ? 'flicker.is_over' : 'flicker.is', { value, limit: limit.toFixed(2) })];
    if (bar.frames > 1) lines.push(t('flicker.worst_of', { n: spaced(bar.start + 1), m: spaced(bar.start + bar.frames), at: spaced(bar.at + 1) }));
    if (bar.worst && subject.classId === 0) lines.push(t('flicker.most', { name: nameOf({ classId: bar.worst }) }));
    if (bar.stale) lines.push(t('flicker.stale'));
    return lines;
  }

  return {
    track, menu: menu.menu, nodes: [menu.label, track, note],
    /** @param index the frame that is open */
    render(now, index, ink) {
      const moved = !view || view.scroll !== now.scroll || view.cell !== now.cell || view.width !== now.width || view.total !== now.total;
      view = { ...now };
      if (moved) askSoon();
      const known = whole(ALL);
      const size = { width: now.width, height: track.clientHeight };
      const bars = barsIn(covering, now, model(stepOf(now.cell)));
      paintFlicker(cleared(canvas, size.width, size.height), size, now, bars, {
        limit: known?.limit ?? 1, series: chosen.series, loaded: Boolean(known && isMeasured(known)),
      }, ink);
      showNote(known);
      menu.show({ ...chosen, name: nameOf(subject), changed: known && isMeasured(known) ? lengthOf(staleOf(known, touched)) : 0, busy: Boolean(measuring) });
      this.tell(index);
    },
    /** For who hears the row instead of seeing it. */
    tell(index) {
      track.setAttribute('aria-valuemax', String(view?.total ?? 1));
      track.setAttribute('aria-valuenow', String(index + 1));
      track.setAttribute('aria-valuetext', [t('time.value', { n: index + 1, m: view?.total ?? 1 }), ...sentences(index)].join(', '));
    },
    sentences,
    /** The frame a bar leads to: its own, or where it stands for several the worst of them. */
    frameAt: (index) => barAt(index)?.at ?? index,
    /** The next or previous frame above the limit, or −1. */
    over(index, step) {
      const known = [whole(subject), ...(view ? tilesOf(view, stepOf(view.cell)).map((tile) => curves.get(keyOf(subject, stepOf(view.cell), tile))) : [])];
      return nextMark(overIn(known.filter(Boolean)), index, step);
    },
  };
}

function recall(key) {
  try {
    const { scope, series } = JSON.parse(localStorage.getItem(key)) ?? {};
    return { ...(scope ? { scope } : {}), ...(series ? { series } : {}) };
  } catch {
    return {};
  }
}
