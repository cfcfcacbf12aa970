/**
 * N: to the frame where a look gains most. The queue is asked each time, once what was changed here is saved, for every
 * correction puts it in another order.
 */
import { el } from '../canvas/dom.js';
import { aimOf, addressOf, arrived, carry, percentOf } from './review.js';
import { createReviewPanel } from './review_panel.js';
import { createSeen } from './seen.js';

const COUNT_MS = 2500;
/** An answer that took long is asked for less often. */
const SHARE = 10;

/** @param leave (address): to the page of another asset */
export function mountReview({ app, store, transport, data, t, say, announce, leave = (address) => location.assign(address) }) {
  const project = data.project.id;
  const get = store.get;
  const facts = document.getElementById('frame-panel');
  const box = el('div', { class: 'sec facts', id: 'review-panel', role: 'group', 'aria-label': t('review.panel'), hidden: true });
  facts?.after(box);
  const back = (e) => { if (e?.detail) app.toCanvas(); };
  const panel = createReviewPanel(box, { t, on: {
    aim: (reason, e) => { aim(reason); back(e); },
    approve: (e) => { app.toggleFrameState('approved'); back(e); },
    next: (e) => { next(); back(e); },
    close: () => { entry = null; panel.hide(); app.toCanvas(); },
  } });

  let entry = null;
  let aimed = true;
  let told = null;
  let busy = false;

  // ---- where the queue leads
  const saved = () => new Promise((resolve) => {
    if (!get().unsent) resolve();
    else {
      const stop = store.on((state) => {
        if (state.unsent) return;
        stop();
        resolve();
      });
    }
  });

  async function next() {
    const here = get().frameId;
    if (busy || !here) return;
    busy = true;
    try {
      await saved();
      await seen.settled();
      const found = await transport.nextReview(here);
      if (found) open(found);
      else await none();
    } catch (error) {
      say(error.message, 'error');
    } finally {
      busy = false;
    }
  }

  function open(found) {
    if (found.asset_id !== data.asset.id) {
      carry(sessionStorage, found);
      leave(addressOf(project, found));
      return;
    }
    entry = found;
    aimed = false;
    if (get().playing) app.stopPlaying();
    if (get().index !== found.index) app.goto(found.index);
    show();
  }

  async function none() {
    entry = null;
    const { seen, frames } = await count();
    const sentence = t('review.seen', { percent: percentOf(seen, frames), seen, frames });
    panel.showNone(sentence);
    announce(`${t('review.none')}. ${sentence}`);
  }

  // ---- why this frame
  function show() {
    const { frameId, frame } = get();
    if (!entry || entry.frame_id !== frameId) {
      if (entry || box.dataset.frame) panel.hide();
      return;
    }
    panel.show(entry, frame?.id === frameId ? frame.state : null);
    if (!aimed && frame?.id === frameId && told === frameId) {
      aimed = true;
      const [first] = entry.reasons;
      announce(entry.reasons.map((reason) => reason.text).join(' '));
      if (first) aim(first);
    }
  }
  function aim(reason) {
    const found = aimOf(reason, get().regions);
    if (found?.region) app.request({ action: 'select-region', region_id: found.region });
    if (found && get().classes.has(found.classId)) app.setClass(found.classId);
  }
  document.addEventListener('pt:frame', ({ detail }) => {
    told = detail.frame_id;
    // After the panels heard of the frame: they take no selection on one that they do not know.
    queueMicrotask(show);
    firstCount();
  });
  store.on((state, changed) => { if (['frameId', 'frame', 'regions'].some((key) => changed.has(key))) show(); });

  // ---- how many are left: after the first frame is there, then when something changed, politely
  let counting = 0;
  let took = 0;
  async function count() {
    const began = performance.now();
    const found = await transport.review({ limit: 1 });
    took = performance.now() - began;
    store.set({ review: { toReview: found.to_review, seen: found.seen, frames: found.frames } });
    return found;
  }
  function countSoon(wait = COUNT_MS) {
    counting ||= setTimeout(() => {
      counting = 0;
      count().catch(() => { /* The chip stays as it is; N says what is wrong. */ });
    }, Math.max(wait, took * SHARE));
  }
  let begun = false;
  function firstCount() {
    if (begun) return;
    begun = true;
    countSoon(400);
    come();
  }
  document.addEventListener('pt:regions', () => { if (begun) countSoon(); });
  for (const name of ['pt-raw-regions', 'pt-raw-frame']) document.body.addEventListener(name, () => { if (begun) countSoon(); });
  document.body.addEventListener('pt-raw-job', ({ detail }) => { if (begun && detail.project_id === project && detail.state === 'done') countSoon(); });

  const seen = createSeen({ store, send: async (id) => {
    await transport.seen(id);
    if (begun) countSoon();
  } });

  /** Opened from the queue on another page: why, as it was carried here or as the server says. */
  async function come() {
    const address = new URL(location.href);
    const carried = arrived(sessionStorage, get().frameId);
    if (!address.searchParams.has('review') && !carried) return;
    address.searchParams.delete('review');
    history.replaceState(history.state, '', address);
    const found = carried ?? await transport.reviewOf(get().frameId).catch(() => null);
    if (found && found.frame_id === get().frameId) open(found);
  }

  return { nextReview: next };
}
