/** Prompts and proposals: from a point or a box to what the engine offers, until it is accepted or rejected. */
import { emptyGeometry, insideFrame, quantise } from './geometry.js';
import { newId } from './ids.js';
import { classRanks, paintMask } from './labelmap.js';
import { proposedClass } from './paint/proposal.js';

/** Longer than the server gives its worker for two tries: after that nothing will come. */
const PATIENCE_MS = 30_000;

export function createPrompts({ store, transport, frames, emit, say, announce, t }, shared, changes) {
  let latest = 0;
  let acceptWhenReady = false;
  let patience = 0;
  const get = store.get;
  const { nameOf, pointsWord, find, lockedReason, refuse } = shared;
  const inside = (at) => insideFrame(at, get().width, get().height);

  // ---- prompt and proposal

  function startPrompt() {
    const { prompt, selected } = get();
    if (prompt) return prompt;
    const region = find(selected);
    return region
      ? { points: region.geometry.points.slice(), box: region.geometry.box, refine: region.id, base: region.geometry.points.length }
      : { points: [], box: null, refine: null, base: 0 };
  }

  function setPrompt(prompt) {
    store.set({ prompt, preview: null, point: null, message: null });
    ask();
  }

  const hasSubject = (prompt) => Boolean(prompt.box) || prompt.points.some((point) => point.label === 1);

  function ask() {
    const { prompt, proposal, frameId } = get();
    acceptWhenReady = false;
    if (!prompt || !hasSubject(prompt)) {
      if (latest && get().busy) transport.cancel(latest);
      latest = 0;
      store.set({ proposal: null, busy: false });
      if (prompt) refuse('refuse.no_positive');
      tell();
      return;
    }
    latest = transport.prompt({
      frame: frameId, geometry: { points: prompt.points, box: prompt.box }, engine: null, refine: prompt.refine,
      previous: proposal?.candidates[proposal.at]?.id ?? null,
    });
    store.set({ busy: latest !== 0 });
    if (!latest) refuse('refuse.offline');
    const asked = latest;
    clearTimeout(patience);
    patience = setTimeout(() => {
      if (asked !== latest || !get().busy) return;
      store.set({ busy: false });
      refuse('refuse.offline');
    }, PATIENCE_MS);
    tell();
  }

  function tell() {
    const state = get();
    emit('pt:proposal', state.prompt
      ? { state: state.proposal ? 'ready' : 'waiting', class_id: proposedClass(state), points: state.prompt.points.length, refine: state.prompt.refine }
      : null);
  }

  function onProposal(message) {
    const state = get();
    if (message.frame !== state.frameId) return;
    if (hover.number === message.request) {
      hover.number = 0;
      if (hover.at && message.candidates.length) store.set({ preview: { candidate: message.candidates[0] } });
      hoverNext();
      return;
    }
    if (message.request !== latest || !state.prompt) return;
    const candidates = message.candidates.filter((candidate) => candidate.area > 0);
    store.set({ busy: false, proposal: candidates.length ? { engine: message.engine, candidates, at: 0 } : null });
    tell();
    if (!candidates.length) {
      refuse('refuse.nothing');
      return;
    }
    announce(t('say.proposal', {
      name: nameOf(proposedClass(get())), score: candidates[0].score.toFixed(2), points: pointsWord(state.prompt.points.length),
    }));
    if (acceptWhenReady) accept();
  }

  function onFailed(message) {
    if (message.request && message.request === hover.number) {
      hover.number = 0;
      return;
    }
    if (message.code === 'superseded') return;
    if (message.request && message.request !== latest) return;
    store.set({ busy: false });
    acceptWhenReady = false;
    say(message.detail, 'error');
  }

  // ---- hover preview: one request under way, the last position wins

  const hover = { at: null, number: 0, asked: '', frame: null };

  function preview({ at, label }) {
    if (!at) {
      if (hover.at) store.set({ preview: null });
      hover.at = null;
      hover.asked = '';
      return;
    }
    hover.at = { ...inside(at), label };
    hoverNext();
  }

  function hoverNext() {
    const state = get();
    // The server answers nothing for a frame that was left.
    if (hover.frame !== state.frameId) hover.number = 0;
    if (!hover.at || hover.number || state.busy || (state.prompt && !state.proposal && latest)) return;
    const sign = `${Math.round(hover.at.x)} ${Math.round(hover.at.y)} ${hover.at.label}`;
    if (sign === hover.asked) return;
    hover.asked = sign;
    const base = startPrompt();
    const prompt = { ...base, points: [...base.points, { ...hover.at, r: 0 }] };
    if (!hasSubject(prompt)) return;
    hover.frame = state.frameId;
    hover.number = transport.prompt({
      frame: state.frameId, geometry: { points: prompt.points, box: prompt.box }, engine: null, refine: prompt.refine, previous: null,
    });
  }

  // ---- accept, reject, take back

  function accept() {
    const state = get();
    const { prompt, proposal } = state;
    if (!prompt) return;
    if (!proposal || state.busy) {
      acceptWhenReady = state.busy;
      return;
    }
    const classId = proposedClass(state);
    const locked = lockedReason(classId);
    if (locked) {
      say(locked, 'warn');
      return;
    }
    const candidate = proposal.candidates[proposal.at];
    const geometry = { ...emptyGeometry(), points: prompt.points, box: prompt.box };
    const old = find(prompt.refine);
    const region = old
      ? { ...old, geometry, area: candidate.area }
      : {
        id: newId(), frame_id: state.frameId, class_id: classId, geometry, track_id: null, anchor: true, certificate: null,
        area: candidate.area, author: '', revision: 0, order: state.regions.length,
      };
    const ranks = classRanks([...state.classes.values()]);
    store.set({
      prompt: null, proposal: null, preview: null,
      regions: old ? state.regions.map((r) => (r.id === old.id ? region : r)) : [...state.regions, region],
      map: paintMask(frames.currentMap(), candidate.mask, region, ranks),
    });
    latest = 0;
    tell();
    announce(old ? t('say.refined', { name: nameOf(classId) }) : t('say.accepted', { name: nameOf(classId) }));
    if (old) {
      changes.patch(region, { geometry, proposal: candidate.id, engine: proposal.engine });
    } else {
      changes.add(region, { proposal: candidate.id, engine: proposal.engine }, () => {
        // A refused region gives its prompt back: the points are the work.
        if (get().frameId === region.frame_id && !get().prompt) setPrompt(prompt);
      });
    }
  }

  function reject({ silent = false } = {}) {
    const state = get();
    if (!state.prompt && !state.proposal) return false;
    if (latest && state.busy) transport.cancel(latest);
    latest = 0;
    acceptWhenReady = false;
    store.set({ prompt: null, proposal: null, preview: null, busy: false, message: null });
    tell();
    if (!silent) announce(t('say.rejected'));
    return true;
  }

  function takeBack() {
    const { prompt } = get();
    if (!prompt) return;
    // Down to what the region had before, or to nothing: then there is no prompt left.
    const points = prompt.points.slice(0, -1);
    if (prompt.points.length <= prompt.base || (points.length === prompt.base && !(prompt.box && !prompt.refine))) reject();
    else setPrompt({ ...prompt, points });
  }

  function cycle(step) {
    const { proposal } = get();
    if (!proposal) return;
    const m = proposal.candidates.length;
    const at = (proposal.at + step + m) % m;
    store.set({ proposal: { ...proposal, at } });
    announce(t('say.candidate', { n: at + 1, m, score: proposal.candidates[at].score.toFixed(2) }));
  }

  return {
    accept, reject, takeBack, cycle, preview, onProposal, onFailed, set: setPrompt,
    addPoint: ({ at, label, r }) => {
      const prompt = startPrompt();
      setPrompt({ ...prompt, points: [...prompt.points, { ...inside(at), label, r: quantise(r) }] });
    },
    setBox: ({ box }) => setPrompt({ ...startPrompt(), box }),
    /** The connection went: an answer will not come. */
    interrupted() {
      hover.number = 0;
      if (get().busy) store.set({ busy: false });
    },
    askAgain() { if (get().prompt && !get().proposal) ask(); },
  };
}
