/** Prompts and proposals: from points, boxes, a text or exemplars to what the engine offers, until that is accepted or rejected. */
import { isSearch, needsOf, obstacle } from './engines.js';
import { emptyGeometry, insideFrame, quantise } from './geometry.js';
import { newId } from './ids.js';
import { areInstances, instanceAt, instanceGeometry, isKept, keptOf, limitBy, limitOf, toggled } from './instances.js';
import { classRanks, paintMask } from './labelmap.js';
import { proposedClass } from './paint/proposal.js';

/** Longer than a click should take: the engine may have to be loaded first. */
const SLOW_MS = 6_000;
/** Longer than the server gives its worker for loading and two tries: after that nothing will come. */
const PATIENCE_MS = 300_000;

const FRESH = Object.freeze({ points: [], box: null, text: null, exemplars: [], refine: null, base: 0 });

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
    if (prompt && !isSearch(prompt)) return prompt;
    const region = find(selected);
    return region
      ? { ...FRESH, points: region.geometry.points.slice(), box: region.geometry.box, refine: region.id, base: region.geometry.points.length }
      : FRESH;
  }

  /** What was found by text or example waits: a point or a box would throw it away. */
  function foundWaits() {
    const waits = Boolean(get().proposal) && isSearch(get().prompt);
    if (waits) refuse('refuse.found_waits');
    return waits;
  }

  function setPrompt(prompt) {
    store.set({ prompt, preview: null, point: null, message: null });
    ask();
  }

  const hasSubject = (prompt) => Boolean(prompt.text || prompt.box) || prompt.points.some((point) => point.label === 1)
    || prompt.exemplars.some((exemplar) => exemplar.positive);

  function stopAsking() {
    if (latest && get().busy) transport.cancel(latest);
    latest = 0;
    clearTimeout(patience);
    store.set({ proposal: null, busy: false });
  }

  function ask() {
    const { prompt, proposal, frameId, engine } = get();
    acceptWhenReady = false;
    const wrong = prompt && (hasSubject(prompt) ? obstacle(get(), needsOf(prompt))
      : { key: isSearch(prompt) ? 'refuse.no_exemplar' : 'refuse.no_positive' });
    if (!prompt || wrong) {
      stopAsking();
      if (wrong) refuse(wrong.key, wrong.args);
      tell();
      return;
    }
    const corrects = !isSearch(prompt) && proposal?.engine === engine ? proposal.candidates[proposal.at] : null;
    latest = transport.prompt({
      frame: frameId, geometry: { points: prompt.points, box: prompt.box, text: prompt.text }, exemplars: prompt.exemplars,
      engine, refine: prompt.refine, previous: corrects?.id ?? null,
    });
    store.set({ busy: latest !== 0 });
    if (!latest) refuse('refuse.offline');
    wait(latest);
    tell();
  }

  function wait(asked) {
    clearTimeout(patience);
    const still = () => asked && asked === latest && get().busy;
    patience = setTimeout(() => {
      if (!still()) return;
      say(t('say.slow', { engine: get().engine }), 'info');
      patience = setTimeout(() => {
        if (!still()) return;
        store.set({ busy: false });
        refuse('refuse.offline');
      }, PATIENCE_MS);
    }, SLOW_MS);
  }

  function tell() {
    const state = get();
    const { prompt, proposal } = state;
    emit('pt:proposal', prompt
      ? {
        state: proposal ? 'ready' : 'waiting', class_id: proposedClass(state), points: prompt.points.length, refine: prompt.refine,
        instances: areInstances(proposal) ? keptOf(proposal, state.scoreLimit).length : null,
      }
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
    clearTimeout(patience);
    const { engine, weights = '', kind = 'alternatives', presence = null } = message;
    const candidates = message.candidates.filter((candidate) => candidate.area > 0);
    if (state.message?.kind === 'info') say('');
    store.set({ busy: false, proposal: candidates.length ? { engine, weights, kind, presence, candidates, at: 0, picks: {} } : null });
    tell();
    if (!candidates.length) {
      if (!isSearch(state.prompt)) refuse('refuse.nothing');
      else if (presence === null) refuse('refuse.not_found');
      else refuse('refuse.not_present', { presence: presence.toFixed(2) });
      return;
    }
    if (kind === 'instances') sayInstances();
    else {
      announce(t('say.proposal', {
        name: nameOf(proposedClass(get())), score: candidates[0].score.toFixed(2), points: pointsWord(state.prompt.points.length),
      }));
    }
    if (acceptWhenReady) accept();
  }

  function onFailed(message) {
    if (message.request && message.request === hover.number) {
      hover.number = 0;
      return;
    }
    if (message.code === 'superseded') return;
    if (message.request && message.request !== latest) return;
    clearTimeout(patience);
    store.set({ busy: false });
    acceptWhenReady = false;
    say(message.detail, 'error');
  }

  // ---- hover preview: one request under way, the last position wins

  const hover = { at: null, number: 0, asked: '', frame: null };

  function preview({ at, label }) {
    if (!at || isSearch(get().prompt)) {
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
    const sign = `${Math.round(hover.at.x)} ${Math.round(hover.at.y)} ${hover.at.label} ${state.engine}`;
    if (sign === hover.asked) return;
    hover.asked = sign;
    const base = startPrompt();
    const prompt = { ...base, points: [...base.points, { ...hover.at, r: 0 }] };
    if (!hasSubject(prompt)) return;
    hover.frame = state.frameId;
    hover.number = transport.prompt({
      frame: state.frameId, geometry: { points: prompt.points, box: prompt.box }, engine: state.engine, refine: prompt.refine, previous: null,
    });
  }

  // ---- accept, reject, take back

  function newRegion(state, classId, geometry, area, place = 0) {
    return {
      id: newId(), frame_id: state.frameId, class_id: classId, geometry, track_id: null, anchor: true, certificate: null,
      area, author: '', revision: 0, order: state.regions.length + place,
    };
  }

  /** The lost track that a person found again here, where the class is its own. */
  const joined = ({ joins }, classId) => (joins?.class_id === classId ? joins.id : null);

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
    if (areInstances(proposal)) acceptInstances(state, classId);
    else acceptOne(state, classId);
  }

  /** Paint what was accepted at once, and forget the prompt. */
  function settle(state, regions, painted) {
    const ranks = classRanks([...state.classes.values()]);
    const map = painted.reduce((before, { mask, region }) => paintMask(before, mask, region, ranks), frames.currentMap());
    store.set({ prompt: null, proposal: null, preview: null, regions, map });
    latest = 0;
    tell();
  }

  /** A refused region gives its prompt back: the points are the work. */
  const giveBack = (frame, prompt) => () => { if (get().frameId === frame && !get().prompt) setPrompt(prompt); };

  function acceptOne(state, classId) {
    const { prompt, proposal } = state;
    const candidate = proposal.candidates[proposal.at];
    const geometry = isSearch(prompt) ? instanceGeometry(candidate, prompt.text) : { ...emptyGeometry(), points: prompt.points, box: prompt.box };
    const old = find(prompt.refine);
    const region = old ? { ...old, geometry, area: candidate.area } : { ...newRegion(state, classId, geometry, candidate.area), track_id: joined(state, classId) };
    const regions = old ? state.regions.map((r) => (r.id === old.id ? region : r)) : [...state.regions, region];
    settle(state, regions, [{ mask: candidate.mask, region }]);
    announce(t(old ? 'say.refined' : 'say.accepted', { name: nameOf(classId) }));
    const made = { proposal: candidate.id, engine: proposal.engine };
    if (old) changes.patch(region, { geometry, ...made });
    else changes.add(region, made, giveBack(region.frame_id, prompt));
  }

  function acceptInstances(state, classId) {
    const { prompt, proposal } = state;
    const kept = keptOf(proposal, state.scoreLimit);
    if (!kept.length) {
      refuse('refuse.none_kept');
      return;
    }
    const made = kept.map((candidate, i) => ({
      mask: candidate.mask, proposal: candidate.id, engine: proposal.engine,
      region: newRegion(state, classId, instanceGeometry(candidate, prompt.text), candidate.area, i),
    }));
    settle(state, [...state.regions, ...made.map(({ region }) => region)], made);
    announce(t.n('say.accepted_all', kept.length, { name: nameOf(classId) }));
    changes.addAll(state.frameId, made, giveBack(state.frameId, prompt));
  }

  function reject({ silent = false } = {}) {
    const state = get();
    if (!state.prompt && !state.proposal) return false;
    stopAsking();
    acceptWhenReady = false;
    store.set({ prompt: null, preview: null, message: null });
    tell();
    if (!silent) announce(t('say.rejected'));
    return true;
  }

  function takeBack() {
    const { prompt } = get();
    if (!prompt) return;
    if (isSearch(prompt)) {
      const exemplars = prompt.exemplars.slice(0, -1);
      if (prompt.exemplars.length && (exemplars.length || prompt.text)) setPrompt({ ...prompt, exemplars });
      else reject();
      return;
    }
    // Down to what the region had before, or to nothing: then there is no prompt left.
    const points = prompt.points.slice(0, -1);
    if (prompt.points.length <= prompt.base || (points.length === prompt.base && !(prompt.box && !prompt.refine))) reject();
    else setPrompt({ ...prompt, points });
  }

  // ---- several candidates

  function cycle(step) {
    const { proposal, scoreLimit } = get();
    if (!proposal) return;
    const m = proposal.candidates.length;
    const at = (proposal.at + step + m) % m;
    store.set({ proposal: { ...proposal, at } });
    const score = proposal.candidates[at].score.toFixed(2);
    if (!areInstances(proposal)) announce(t('say.candidate', { n: at + 1, m, score }));
    else announce(t(isKept(proposal, proposal.candidates[at], scoreLimit) ? 'say.instance_kept' : 'say.instance_out', { n: at + 1, m, score }));
  }

  function sayInstances() {
    const { proposal, scoreLimit } = get();
    announce(t.n('say.instances', proposal.candidates.length, { kept: keptOf(proposal, scoreLimit).length }));
  }

  /** Take the instance `index` (the highlighted one if not given) in or out. */
  function toggle(index = get().proposal?.at) {
    const { proposal, scoreLimit } = get();
    if (!areInstances(proposal)) return;
    store.set({ proposal: toggled(proposal, index, scoreLimit) });
    tell();
    sayInstances();
  }

  function toggleAt(at) {
    const { proposal } = get();
    const index = areInstances(proposal) ? instanceAt(proposal, at) : -1;
    if (index >= 0) toggle(index);
    return index >= 0;
  }

  function setLimit(value) {
    store.set({ scoreLimit: limitOf(value) });
    if (!areInstances(get().proposal)) return;
    tell();
    sayInstances();
  }

  return {
    accept, reject, takeBack, cycle, preview, onProposal, onFailed, set: setPrompt, toggle, toggleAt, setLimit,
    limitBy: (steps) => setLimit(limitBy(get().scoreLimit, steps)),
    /** A press while found things wait belongs to them; true when it did. */
    pressFound: (at) => toggleAt(at) || foundWaits(),
    addPoint: ({ at, label, r }) => {
      if (toggleAt(at) || foundWaits()) return;
      const prompt = startPrompt();
      setPrompt({ ...prompt, points: [...prompt.points, { ...inside(at), label, r: quantise(r) }] });
    },
    setBox: ({ box }) => { if (!foundWaits()) setPrompt({ ...startPrompt(), box }); },
    addExemplar: ({ box, positive }) => {
      const { prompt } = get();
      const base = isSearch(prompt) ? prompt : FRESH;
      setPrompt({ ...base, exemplars: [...base.exemplars, { box, positive }] });
    },
    /** Look for `text`; the exemplars stay, points and a box do not go with it. */
    askText: (text) => {
      const { prompt } = get();
      setPrompt({ ...FRESH, text, exemplars: isSearch(prompt) ? prompt.exemplars : [] });
    },
    /** The connection went: an answer will not come. */
    interrupted() {
      hover.number = 0;
      if (get().busy) store.set({ busy: false });
    },
    askAgain() { if (get().prompt && !get().proposal) ask(); },
    /** The engine changed: the same prompt, asked of the new one. */
    askAnew() { if (get().prompt) ask(); },
  };
}
