/** Stabilising in the workspace: ask for a preview, compare it on the canvas, apply it or let it go. */
import { createComparison, sideOf } from './comparison.js';
import { newId } from './ids.js';
import { START, allowed, bodyOf, changedFrames, classesIn, fieldOf, nextOf, planOf, spanOf } from './stabilise.js';
import { classOf } from './tracks.js';
import { mountStabilise } from './ui/stabilise.js';
import { mountWipe } from './ui/wipe.js';

const MEMORY = 'pointillist stabilise';
const KEPT = ['method', 'window', 'alpha', 'motion', 'evidence'];
const UNFINISHED = new Set(['waiting', 'running', 'paused']);

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(MEMORY)) ?? {};
  } catch {
    return {};
  }
}

/**
 * The state under `stabilise` (null while it is closed): {phase, choice, methods, facts, problem, busy, job, curve, undoable}.
 * phase: 'setup' → 'previewing' → 'preview' → 'applying' → 'applied'.
 */
export function createStabilise({ store, transport, frames, emit, say, announce, t, app, projectId, assetId, memory = recall() }) {
  const get = store.get;
  const comparison = createComparison({ store, load: transport.stabilisedMap });
  let opening = 0;
  let cameFrom = null;
  let tool = null;

  const now = () => get().stabilise;
  const change = (patch) => { if (now()) store.set({ stabilise: { ...now(), ...patch } }); };
  const plan = () => planOf(now().choice, get(), now().facts);
  const wrong = (error) => change({ busy: false, problem: { field: fieldOf(error), text: error.message } });

  async function open(from = null) {
    cameFrom = from;
    if (get().whatIf) app.toggleWhatIf();
    const mine = opening += 1;
    const track = trackOf(get());
    const choice = { ...START, ...memory, trackId: track, far: get().range ? 'range' : 'whole' };
    store.set({ stabilise: { phase: 'setup', choice, methods: [], facts: {}, problem: null, busy: false, job: null, curve: null, undoable: false } });
    try {
      const [methods, { states }, cuts] = await Promise.all([
        transport.stabilisers(), transport.timeline(assetId), transport.cuts(assetId).catch(() => null),
      ]);
      if (mine !== opening || !now()) return;
      change({ methods, facts: { states, cuts }, choice: allowed(now().choice, methods) });
    } catch (error) {
      if (mine === opening) wrong(error);
    }
  }

  function close() {
    if (!now()) return;
    opening += 1;
    const { phase, job } = now();
    if (phase === 'previewing' && job) transport.cancelJob(job.id).catch(() => {});
    leave();
    store.set({ stabilise: null });
    if (cameFrom?.isConnected && cameFrom !== document.body) cameFrom.focus();
    else app.toCanvas();
    cameFrom = null;
  }

  /** The comparison is over: the tool is the one from before. */
  function leave() {
    comparison.close();
    if (tool && get().tool === 'pan') app.useTool(tool);
    tool = null;
  }

  function choose(patch) {
    const { choice, methods, phase } = now();
    if (phase !== 'setup') return;
    const next = allowed({ ...choice, ...patch }, methods);
    if (patch.what === 'classes' && !next.classIds.length) next.classIds = classesAtHand();
    change({ choice: next, problem: null });
    Object.assign(memory, Object.fromEntries(KEPT.map((key) => [key, next[key]])));
    try { sessionStorage.setItem(MEMORY, JSON.stringify(memory)); } catch { /* not remembered, then */ }
  }

  /** The class that is worked with, where it has labels there. */
  function classesAtHand() {
    const state = get();
    const span = spanOf(now().choice, state, now().facts.cuts);
    return span ? classesIn(state.lanes, span, state.locked).map((lane) => lane.class_id).filter((id, _, all) => all.length === 1 || id === classOf(state)) : [];
  }

  /** Ask for a job. The labels that it works on are saved before: it waits in the queue of changes. */
  async function start(phase, from) {
    const asked = plan();
    if (asked.wrong || now().busy) return;
    const mine = opening;
    change({ busy: true, problem: null });
    try {
      const body = bodyOf(now().choice, asked, { assetId, id: newId(), from });
      const job = await transport.change(() => ({ method: 'POST', url: `/projects/${projectId}/stabilise`, body }));
      if (mine !== opening) {
        if (!from) transport.cancelJob(job.id).catch(() => {});
        return;
      }
      change({ busy: false, phase, job });
      await follow();
    } catch (error) {
      if (mine === opening) wrong(error);
    }
  }

  /** Look at the job again; called whenever the page hears that a job moved. */
  async function follow() {
    const job = now()?.job;
    if (!job || !UNFINISHED.has(job.state)) return;
    const fresh = await transport.job(job.id).catch(() => null);
    if (!fresh || now()?.job?.id !== fresh.id || !UNFINISHED.has(now().job.state)) return;
    change({ job: fresh });
    if (!UNFINISHED.has(fresh.state)) await ended(fresh);
  }

  async function ended(job) {
    const preview = now().phase === 'previewing';
    if (job.state !== 'done') {
      const failed = job.state === 'failed';
      const problem = { field: 'go', text: failed ? job.reason || t('stab.failed') : t('stab.cancelled'), hint: !failed };
      if (preview) change({ phase: 'setup', job: null, problem });
      else change({ phase: 'preview', job: now().previewed, problem });
      return;
    }
    if (!preview) {
      await applied(job);
      return;
    }
    const curve = await transport.stabilisedCurve(job.id).catch(() => null);
    if (now()?.job?.id !== job.id) return;
    const { start, stop, changed } = job.result;
    change({ phase: 'preview', curve, previewed: job });
    announce(t.n('stab.would', changed));
    if (!changed) return;
    tool = get().tool;
    app.useTool('pan');
    comparison.open({ job: job.id, start, stop });
    if (get().index < start || get().index > stop) app.goto(changedFrames(curve)[0] ?? start);
  }

  async function applied(job) {
    const { changed } = job.result;
    leave();
    change({ phase: 'applied', curve: null, undoable: changed > 0 });
    if (changed) store.set({ canUndo: true, canRedo: false });
    const here = get().frameId;
    frames.changedAll();
    emit('pt:regions', { frame_id: here });
    announce(sentenceOf(job.result));
    const [curve] = await Promise.all([transport.stabilisedCurve(job.id).catch(() => null), frames.refresh(here)]);
    if (now()?.job?.id === job.id) change({ curve });
  }

  const sentenceOf = ({ regions, changed }) => t('stab.applied', { regions: t.n('track.regions', regions), frames: t.n('track.frames_n', changed) });

  store.on((state, changed) => {
    const { stabilise } = state;
    if (!stabilise) return;
    if ((changed.has('whatIf') && state.whatIf) || (changed.has('matte') && state.matte)) close();
    // Undo means the last change: once another one is made, that is no longer this one.
    else if (stabilise.undoable && changed.has('unsent') && state.unsent > 0) change({ undoable: false });
    else if (stabilise.phase === 'setup' && changed.has('selected') && trackOf(state)) change({ choice: { ...stabilise.choice, trackId: trackOf(state) } });
  });

  return {
    open, close, choose, follow, plan, sentenceOf,
    toggle: (from) => {
      if (!now()) return open(from);
      return now().phase === 'setup' ? close() : emit('pt:stabilise', {});
    },
    preview: () => start('previewing', null),
    apply: () => start('applying', now()?.previewed?.id),
    cancel() { if (now()?.job) transport.cancelJob(now().job.id).catch((error) => say(error.message, 'error')); },
    /** Back to the choice; what was previewed is let go. */
    discard() {
      leave();
      change({ phase: 'setup', job: null, curve: null, previewed: null, problem: null });
    },
    undo() {
      change({ phase: 'setup', job: null, curve: null, previewed: null, undoable: false });
      return app.undo();
    },
    /** To the next (1) or previous (−1) frame that the preview changes. */
    visit(step) {
      const to = nextOf(changedFrames(now()?.curve), get().index, step);
      if (to >= 0) app.goto(to);
    },
    setSide: comparison.setSide, hold: comparison.hold, setWipe: comparison.setWipe,
    span: () => spanOf(now().choice, get(), now().facts.cuts ?? null),
  };
}

/** The track of the selected region, null without one. */
function trackOf({ regions, selected }) {
  return regions.find((region) => region.id === selected)?.track_id ?? null;
}

/** What stands on the picture while it is compared. */
function flagOf({ compared: { outside, missing, after }, playing }, side, t) {
  if (outside) return t('stab.flag_outside');
  if (missing) return t('stab.flag_missing');
  if (!after) return playing ? '' : t('stab.flag_loading');
  if (!side) return '';
  return side === 'before' ? t('stab.before') : t('stab.flag');
}

/** → what the app can do beside the rest. */
export function mountStabilising(host, { classes, ...context }) {
  const { store, t, app } = context;
  const stabilise = createStabilise(context);
  mountStabilise(classes, { app, stabilise, store, t });
  mountWipe(host, {
    store, t, name: 'preview', of: 'compared', sideOf, setWipe: stabilise.setWipe, said: (state, side) => flagOf(state, side, t),
    words: { before: 'stab.before', after: 'stab.after', wipe: 'stab.wipe', value: 'stab.wipe_value' },
  });
  document.body.addEventListener('pt-job', stabilise.follow);
  // Held down it shows what was; with the key comes up what would be.
  addEventListener('keyup', (event) => { if (event.key.toLowerCase() === 's' || event.code === 'KeyS') stabilise.hold(false); });
  addEventListener('blur', () => stabilise.hold(false));
  return {
    openStabilise: () => stabilise.toggle(document.activeElement),
    seeBefore: () => stabilise.hold(true),
    isComparing: () => sideOf(store.get()) !== null,
  };
}
