/** Mattes in the workspace: choose a target, look at a preview on the canvas, have the job done, take the files. */
import { createCutout } from './cutout.js';
import { engineFor, isReady, obstacle, tracker } from './engines.js';
import { frameId, newId } from './ids.js';
import { START, bodyOf, engineOf, fieldOf, planOf, seedsOf, sideOfCutout, subjectOf, walksOf } from './matte.js';
import { mountMatte } from './ui/matte.js';
import { mountWipe } from './ui/wipe.js';

const MEMORY = 'pointillist matte';
const KEPT = ['engine', 'parameters', 'outputs', 'background', 'sound'];
const UNFINISHED = new Set(['waiting', 'running', 'paused']);
const KINDS = new Set(['matte', 'matte_alpha']);
const REST_MS = 250;
/** What makes an estimate old, and what makes a preview old. */
const ASKED = ['what', 'subject', 'picks', 'together', 'far', 'engine', 'parameters', 'outputs'];
const SEEN = ['what', 'subject', 'picks', 'together', 'engine', 'parameters'];

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(MEMORY)) ?? {};
  } catch {
    return {};
  }
}

/**
 * The state under `matte` (null while the panel is closed; a job goes on): {phase, choice, engines, facts, estimate, estimating, problem,
 * busy, jobs, job, previewing, sound}. phase: 'setup' → ('tracking') → 'running' → 'done'. Under `cutout`: the preview of one frame.
 */
export function createMatte({ store, transport, emit, say, announce, t, app, projectId, assetId, memory = recall(), later = setTimeout, locate }) {
  const get = store.get;
  let session = null;
  let cameFrom = null;
  let estimates = 0;
  let estimateTimer = 0;
  let known = { frameId: null, ids: new Set() };

  const show = () => store.set({ matte: session });
  function change(patch) {
    if (!session) return;
    session = { ...session, ...patch };
    if (get().matte) show();
  }
  const plan = () => planOf(session.choice, get(), session.facts);
  const engine = () => engineOf(session.choice, session.engines, session.recommended);
  const wrong = (error) => change({ busy: false, problem: { field: fieldOf(error), text: error.message } });
  /** Once all changes are saved: it is about what is seen. */
  async function sent(url, body, patience = 0) {
    if (get().unsent) await transport.change(() => null);
    return transport.post(url, body, { patience });
  }
  const cutout = createCutout({ store, transport, announce, t, app, sent, later, locate, panel: { get: () => session, change, plan, engine, wrong } });

  async function open(from = null) {
    cameFrom = from;
    if (get().whatIf) app.toggleWhatIf();
    if (session) {
      show();
      return;
    }
    const state = get();
    const subject = subjectOf(selectedIn(state) ?? (state.regions.length === 1 ? state.regions[0] : null), state.index);
    know(state);
    const choice = { ...START, ...memory, subject, far: state.range ? 'range' : 'whole' };
    session = { phase: 'setup', choice, engines: [], recommended: '', facts: {}, sound: null, estimate: null, estimating: true, problem: null, busy: false, jobs: [], job: null, previewing: false };
    show();
    const mine = session.choice;
    try {
      // Looking into the sound of a video takes a while at first: nothing waits for it.
      transport.sound(assetId).then((sound) => change({ sound }), () => {});
      const [engines, cuts, jobs] = await Promise.all([transport.matteEngines(), transport.cuts(assetId).catch(() => null), transport.jobs().catch(() => [])]);
      if (!session) return;
      const going = jobs.find((job) => KINDS.has(job.kind) && job.asset_id === assetId && UNFINISHED.has(job.state));
      change({ engines, facts: { cuts }, ...(going && session.choice === mine ? { phase: 'running', job: going } : {}) });
      await estimate();
    } catch (error) {
      wrong(error);
    }
  }

  /** What runs goes on; what was chosen only is let go. */
  function close() {
    if (!get().matte) return;
    cutout.leave();
    if (!['tracking', 'running'].includes(session.phase)) session = null;
    store.set({ matte: null });
    if (cameFrom?.isConnected && cameFrom !== document.body) cameFrom.focus();
    else app.toCanvas();
    cameFrom = null;
  }

  function choose(patch) {
    if (session?.phase !== 'setup') return;
    change({ choice: { ...session.choice, ...patch }, problem: null });
    Object.assign(memory, Object.fromEntries(KEPT.map((key) => [key, session.choice[key]])));
    try { sessionStorage.setItem(MEMORY, JSON.stringify(memory)); } catch { /* not remembered, then */ }
    if (ASKED.some((key) => key in patch)) estimateSoon();
    if (SEEN.some((key) => key in patch)) cutout.renewSoon();
  }

  function estimateSoon() {
    clearTimeout(estimateTimer);
    estimates += 1;
    change({ estimating: true });
    estimateTimer = later(estimate, REST_MS);
  }

  /** Ask what it will take. What is written while the answer comes is asked again. */
  async function estimate() {
    clearTimeout(estimateTimer);
    if (session?.phase !== 'setup') return;
    const asked = plan();
    const mine = estimates += 1;
    if (asked.wrong) {
      change({ estimate: asked.groups.length ? session.estimate : null, estimating: false });
      return;
    }
    change({ estimating: true });
    try {
      const by = engine();
      const body = bodyOf(session.choice, asked, { assetId, engine: by, named: by?.id === session.choice.engine });
      const found = await sent(`/projects/${projectId}/mattes/estimate`, body);
      if (mine === estimates) change({ estimate: found, recommended: found.recommended, estimating: false, problem: session.problem?.asked ? null : session.problem });
    } catch (error) {
      if (mine === estimates) change({ estimate: null, estimating: false, problem: { field: fieldOf(error), text: error.message, asked: true } });
    }
  }

  // ---- the job
  async function start() {
    const asked = plan();
    const chosen = engine();
    if (asked.wrong || !chosen || session.busy) return;
    change({ busy: true, problem: null });
    try {
      const body = bodyOf(session.choice, asked, { assetId, engine: chosen, id: newId() });
      const job = await transport.change(() => ({ method: 'POST', url: `/projects/${projectId}/mattes`, body }));
      cutout.leave();
      change({ busy: false, phase: 'running', job });
      await follow();
    } catch (error) {
      change({ phase: 'setup' });
      wrong(error);
    }
  }

  /** Give the frames without a mask one, then begin. */
  async function trackFirst() {
    if (session.busy) return;
    // What is missing must be that of the choice as it is now.
    if (session.estimating) await estimate();
    const { estimate: found } = session;
    const asked = plan();
    if (asked.wrong || session.busy || !found) return;
    const by = tracker(get().engines, get().engine);
    if (!by) {
      change({ problem: { field: 'far', text: t('track.no_engine') } });
      return;
    }
    change({ busy: true, problem: null });
    try {
      const walks = found.targets.flatMap(({ missing }, i) => (missing.length ? walksOf(asked.groups[i], missing, get().lanes) : []));
      const jobs = [];
      for (const walk of walks) {
        const regions = await regionsOf(walk.index);
        const ids = seedsOf(walk, regions).map((region) => region.id);
        if (!ids.length) continue;
        const body = { asset_id: assetId, region_ids: ids, direction: walk.direction, engine: by.id, start: walk.start, stop: walk.stop, id: newId() };
        jobs.push(await transport.change(() => ({ method: 'POST', url: `/projects/${projectId}/tracks`, body })));
      }
      if (!jobs.length) {
        change({ busy: false, problem: { field: 'far', text: t('matte.nothing_to_track') } });
        return;
      }
      cutout.leave();
      change({ busy: false, phase: 'tracking', jobs });
      announce(t('track.started', { engine: by.id }));
      await follow();
    } catch (error) {
      change({ phase: 'setup' });
      wrong(error);
    }
  }

  const regionsOf = async (index) => (get().frameId === frameId(assetId, index) && !get().unsent ? get().regions : (await transport.frame(frameId(assetId, index))).regions);

  /** Look at the jobs again; called whenever the page hears that a job moved. */
  async function follow() {
    if (session?.phase === 'tracking') await followTracks();
    else if (session?.phase === 'running' && UNFINISHED.has(session.job.state)) {
      const fresh = await transport.job(session.job.id).catch(() => null);
      if (!fresh || session?.job?.id !== fresh.id || !UNFINISHED.has(session.job.state)) return;
      change({ job: fresh });
      if (!UNFINISHED.has(fresh.state)) await ended(fresh);
    }
  }

  async function followTracks() {
    const jobs = await Promise.all(session.jobs.map((job) => (UNFINISHED.has(job.state) ? transport.job(job.id).catch(() => job) : job)));
    // Another look may have been quicker.
    if (session?.phase !== 'tracking' || session.busy) return;
    change({ jobs });
    if (jobs.some((job) => UNFINISHED.has(job.state))) return;
    const stopped = jobs.find((job) => job.state !== 'done');
    if (stopped) {
      const failed = stopped.state === 'failed';
      change({ phase: 'setup', problem: { field: 'far', text: failed ? stopped.reason : t('matte.track_cancelled'), hint: !failed } });
      estimateSoon();
      return;
    }
    change({ busy: true });
    const choice = await tracked(session.choice);
    change({ busy: false, choice });
    await start();
  }

  /** What was a lone region belongs to a track now, which is what is meant. */
  async function tracked(choice) {
    const renew = async (subject) => {
      if (subject?.kind !== 'region') return subject;
      const { regions } = await transport.frame(frameId(assetId, subject.index)).catch(() => ({ regions: [] }));
      return subjectOf(regions.find((region) => region.id === subject.id), subject.index) ?? subject;
    };
    return { ...choice, subject: await renew(choice.subject), picks: await Promise.all(choice.picks.map(renew)) };
  }

  async function ended(job) {
    if (job.state === 'failed') {
      change({ phase: 'setup', problem: { field: 'go', text: job.reason || t('matte.failed'), retry: true } });
      await estimate();
    } else if (job.state === 'cancelled' && !job.result?.files?.length) {
      change({ phase: 'setup', problem: { field: 'go', text: t('matte.cancelled'), hint: true, retry: true } });
      await estimate();
    } else {
      change({ phase: 'done' });
      announce(t('matte.ready'));
      if (get().matte) return;
      session = null;
      say(t('matte.ready'), 'info');
    }
  }

  const jobDo = (work) => async () => {
    try {
      const job = await work(session.job.id);
      if (job?.id === session?.job?.id) change({ job: { ...session.job, ...job } });
    } catch (error) {
      say(error.message, 'error');
    }
  };

  store.on((state, changed) => {
    if (!state.matte) return;
    if ((changed.has('whatIf') && state.whatIf) || (changed.has('stabilise') && state.stabilise)) {
      close();
      return;
    }
    // It is painted or not by whether somebody works: see sideOfCutout.
    if (['prompt', 'proposal', 'draft', 'playing'].some((key) => changed.has(key))) cutout.touch();
    if (session?.phase !== 'setup') return;
    if (changed.has('selected') || changed.has('regions')) follows(state);
    if (['lanes', 'range'].some((key) => changed.has(key)) || (changed.has('index') && session.choice.far === 'around')) estimateSoon();
    cutout.follow(state, changed);
  });

  /** The target goes with the selection, or is what was drawn just now; with nothing of both it stays. */
  function follows(state) {
    const { subject } = session.choice;
    const drawn = state.frameId === known.frameId ? state.regions.findLast((region) => region.anchor && !known.ids.has(region.id)) : null;
    know(state);
    const next = subjectOf(selectedIn(state) ?? drawn, state.index);
    const gone = subject?.kind === 'region' && subject.index === state.index && state.frame && !state.regions.some((region) => region.id === subject.id);
    if (next && (next.id !== subject?.id || next.kind !== subject.kind)) choose({ subject: next });
    else if (!next && gone) choose({ subject: null });
  }

  /** The regions that are there already. */
  function know({ frameId: frame, regions }) {
    known = { frameId: frame, ids: new Set(regions.map((region) => region.id)) };
  }

  return {
    open, close, choose, follow, plan, engine, start, trackFirst,
    preview: cutout.open, canPreview: cutout.canOpen, leavePreview: cutout.leave, setSide: cutout.setSide, setOver: cutout.setOver, setWipe: cutout.setWipe, hold: cutout.hold,
    toggle: (from) => {
      if (!get().matte) return open(from);
      return session.phase === 'setup' && !get().cutout ? close() : emit('pt:matte', {});
    },
    setBackground(background) {
      choose({ background });
      cutout.setColour(background);
    },
    /** With words the text tool looks for the target. A sentence where no engine can, else ''. */
    findText(text) {
      const state = get();
      const cannot = obstacle(state, ['text']);
      const other = engineFor(state.engines, 'text');
      if (cannot && !isReady(other)) return [t(cannot.key, cannot.args), other?.reason && `${other.id}: ${other.reason}`].filter(Boolean).join(' ');
      cutout.leave();
      app.startText(text);
      return '';
    },
    pause: jobDo((id) => transport.pauseJob(id)), resume: jobDo((id) => transport.resumeJob(id)),
    async cancel() {
      const ids = session.phase === 'tracking' ? session.jobs.filter((job) => UNFINISHED.has(job.state)).map((job) => job.id) : [session.job.id];
      for (const id of ids) await transport.cancelJob(id).catch((error) => say(error.message, 'error'));
    },
    /** Go on with a job that failed or was cancelled; finished frames are kept. */
    async again() {
      const { job } = session;
      change({ busy: true, problem: null });
      try {
        change({ phase: 'running', job: await transport.retryJob(job.id), busy: false });
        await follow();
      } catch (error) {
        change({ phase: 'setup' });
        wrong(error);
      }
    },
    anew() {
      change({ phase: 'setup', job: null, problem: null });
      estimateSoon();
    },
  };
}

const selectedIn = ({ regions, selected }) => regions.find((region) => region.id === selected) ?? null;

/** → what the app can do beside the rest. */
export function mountMatting(host, { classes, facts, ...context }) {
  const { store, t, app } = context;
  const matte = createMatte(context);
  mountMatte(classes, { app, matte, store, t, facts });
  mountWipe(host, {
    store, t, name: 'matte', of: 'cutout', sideOf: sideOfCutout, setWipe: matte.setWipe,
    words: { before: 'matte.original', after: 'matte.matte', wipe: 'matte.wipe', value: 'matte.wipe_value' },
    said: (state, side) => (side ? t(side === 'before' ? 'matte.original' : 'matte.flag') : state.matte?.previewing ? t('matte.flag_loading') : ''),
  });
  document.body.addEventListener('pt-job', matte.follow);
  addEventListener('keyup', (event) => { if (event.key.toLowerCase() === 's' || event.code === 'KeyS') matte.hold(false); });
  addEventListener('blur', () => matte.hold(false));
  const { seeBefore } = app;
  return {
    openMatte: () => matte.toggle(document.activeElement),
    seeBefore() {
      seeBefore();
      matte.hold(true);
    },
  };
}
