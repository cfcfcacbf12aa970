/** Mounts the island: state, tools, layers, transport, and the events between it and the panels around it. */
import { createApp } from './app.js';
import { el, useSprite } from './dom.js';
import { sideOf } from './comparison.js';
import { createEngineChoice } from './engine_choice.js';
import { obstacle } from './engines.js';
import { createFrames } from './frames.js';
import { insideFrame, nearestEdge, nearestNode, nearestPoint, withinFrame } from './geometry.js';
import { createHistory } from './history.js';
import { listenPointer } from './input.js';
import { createInspector } from './inspector.js';
import { listenKeys } from './keyboard.js';
import { createLabels } from './labels.js';
import { createLayers } from './layers.js';
import { createMachine } from './machine.js';
import { sideOfCutout } from './matte.js';
import { mountMatting } from './matting.js';
import { createComparedPicture } from './paint/comparison.js';
import { createMattedPicture } from './paint/matte.js';
import { paintHot } from './paint/hot.js';
import { paintMarks } from './paint/marks.js';
import { paintOnion } from './paint/onion.js';
import { createProposalPainter } from './paint/proposal.js';
import { createPlayer } from './player.js';
import { mountStabilising } from './stabilising.js';
import { createStore, initialState } from './store.js';
import { createStrings } from './strings.js';
import { TOOLS } from './tools/index.js';
import { mountTracking } from './tracking.js';
import { createTransport } from './transport.js';
import { mountChip } from './ui/chip.js';
import { mountEngineMenu } from './ui/engine_menu.js';
import { mountHelp } from './ui/help.js';
import { mountInspector } from './ui/inspector.js';
import { mountNotes } from './ui/notes.js';
import { mountStatus } from './ui/status.js';
import { mountTextField } from './ui/text_field.js';
import { bindActionButtons, mountBar, mountToolbar } from './ui/toolbar.js';
import { mountWhatIf } from './ui/what_if.js';
import { resized } from './view.js';
import { createWhatIf } from './what_if.js';
import { mountReview } from '../workspace/review_flow.js';
import { mountTimeline } from '../workspace/timeline.js';

const HIT_PX = 12;
const ANTS_MS = 45;
const REMEMBERED = ['classId', 'hidden', 'opacityOf', 'locked', 'opacity', 'layers'];
/** What a tool asks of the engine. */
const NEEDS = { 'point-plus': ['points'], 'point-minus': ['points'], box: ['box'], exemplar: ['exemplars'] };
const WORKER_GONE = new Set(['failed', 'stopped', 'missing']);

const byId = (id) => document.getElementById(id);

function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    return {};
  }
}

export function mount(host, data) {
  const t = createStrings(data.strings, document.documentElement.lang || 'en');
  useSprite(data.urls?.sprite);
  const memory = `pointillist ${data.project.id}`;
  const store = createStore(initialState(data, recall(memory)));
  const get = store.get;
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const emit = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

  const live = el('div', { class: 'sr', 'aria-live': 'polite' });
  host.after(live);
  prepareHost(host, data, t);
  const status = mountStatus({ hints: byId('status-hints'), saved: byId('saved'), live }, { store, t });
  const say = (text, kind) => {
    status.say(text, kind);
    if (text) emit('pt:status', { text, kind });
  };
  const { announce } = status;

  const revisions = new Map();
  const transport = createTransport({
    projectId: data.project.id,
    on: {
      saved: (saved, unsent) => store.set({ saved, unsent }),
      proposal: (message) => labels.onProposal(message),
      failed: (message) => labels.onFailed(message),
      worker: ({ state, reason, engines }) => store.set({ worker: { state, reason }, ...(engines ? { engines } : {}) }),
      changed: onChanged,
      online: (online) => {
        store.set({ online });
        if (online) labels.askAgain();
        else labels.interrupted();
      },
    },
  });
  const context = { store, transport, revisions, emit, say, announce, t, projectId: data.project.id };
  const frames = createFrames(context);
  context.frames = frames;
  const labels = createLabels({ ...context, askRemove: (id) => app.remove(id) });
  const history = createHistory(context);
  const player = createPlayer({ store, frames });
  const choice = createEngineChoice(context, labels);
  const ids = { projectId: data.project.id, templateId: data.project.class_template_id, assetId: data.asset.id };
  const whatIf = createWhatIf({ ...context, ...ids });
  const inspector = createInspector({ ...context, pan: (dx, dy) => app.pan(dx, dy) });

  // ---- layers
  const picture = createMattedPicture(createComparedPicture(() => layers.invalidate('picture')));
  const proposalPainter = createProposalPainter();
  let hover = null;
  let busySince = 0;
  const layers = createLayers(host, {
    picture: (c, size) => picture(c, size, get()),
    marks: (c, size) => {
      // Points belong to the one side only, and would hide what differs.
      if (sideOf(get()) || sideOfCutout(get())) return;
      paintOnion(c, get());
      paintMarks(c, size, get());
    },
    proposal: (c, size) => proposalPainter(c, size, get(), still.matches),
    hot: (c, size) => paintHot(c, size, get(), { still: still.matches, hover, busySince }),
  }, {
    onResize: (before, after) => store.set({
      viewport: after, view: resized(get().view, before, after, { width: get().width, height: get().height }),
    }),
  });

  // ---- tools
  const reach = () => HIT_PX / get().view.scale;
  const selectedRegion = () => get().regions.find((region) => region.id === get().selected) ?? null;
  const look = {
    handleAt(at) {
      const { prompt, layers: shown } = get();
      const source = prompt ? 'prompt' : 'region';
      const points = prompt?.points ?? (shown.points || get().selected ? selectedRegion()?.geometry.points : null);
      const index = points ? nearestPoint(points, at, reach()) : -1;
      return index < 0 ? null : { source, index, at: points[index] };
    },
    nodeAt: (at) => nearestNode(selectedRegion()?.geometry.outline, at, reach()),
    edgeAt: (at) => nearestEdge(selectedRegion()?.geometry.outline, at, reach()),
    inFrame: (at) => withinFrame(at, get().width, get().height),
    clamp: (at) => insideFrame(at, get().width, get().height),
    scale: () => get().view.scale,
    locked: () => labels.lockedReason(get().classId),
    blocked() {
      const { worker } = get();
      const cannot = obstacle(get(), NEEDS[machine.tool.id] ?? []);
      return labels.lockedReason() || (WORKER_GONE.has(worker.state) ? t('refuse.worker', { reason: worker.reason || worker.state }) : cannot ? t(cannot.key, cannot.args) : '');
    },
  };
  const machine = createMachine({
    tools: TOOLS, look,
    send: (intent) => {
      if (intent.kind === 'pan') app.pan(intent.dx, intent.dy);
      else if (intent.kind === 'gesture') store.set({ gesture: intent.gesture });
      else if (intent.kind === 'refuse') say(t(intent.reason), 'warn');
      else if (intent.kind === 'inspect') inspector.intent(intent);
      else labels.intents[intent.kind](intent);
    },
    onChange: () => showCursor(),
  });

  let pointerEvent = null;
  const field = { focus: () => {} };
  const openHelp = mountHelp(byId('help-sheet'), { store, t });
  let timeline = null;
  const app = createApp({
    ...context, host, machine, labels, history, player, choice, whatIf, openHelp, timeline: () => timeline,
    focusText: (text) => field.focus(text),
    invalidateHover: (e) => {
      if (pointerEvent && machine.state.name === 'idle') machine.handle('hover', { ...pointerEvent, alt: Boolean(e.altKey), shift: Boolean(e.shiftKey) });
      showCursor();
    },
  });

  function showCursor() {
    const { pointer, alt } = get();
    const tool = machine.tool;
    let cursor = tool.states[machine.state.name].cursor ?? tool.cursor;
    let marked = null;
    if (machine.state.name === 'grabbing' || machine.state.name === 'node') cursor = 'grabbing';
    else if (pointer && machine.state.name === 'idle' && !tool.passive) {
      if (look.handleAt(pointer)) cursor = 'grab';
      else if (tool.id === 'outline' || tool.id === 'select') {
        const outline = selectedRegion()?.geometry.outline;
        const node = look.nodeAt(pointer);
        const edge = !node && tool.id === 'outline' ? look.edgeAt(pointer) : null;
        if (node) marked = { node: { x: outline[node.ring][node.node][0], y: outline[node.ring][node.node][1] } };
        else if (edge) marked = { edge };
      } else if (look.blocked()) cursor = 'blocked';
      else if (tool.id === 'point-plus' && alt) cursor = 'point-minus';
    }
    if (host.dataset.cursor !== cursor) host.dataset.cursor = cursor;
    if (marked || hover) {
      hover = marked;
      layers.invalidate('hot');
    }
  }

  listenPointer(host, {
    store, machine,
    zoomAt: (at, factor) => app.zoom(factor, at),
    pan: app.pan,
    onGesture: app.touched,
    onPointer: (at, event) => {
      pointerEvent = event;
      store.set({ pointer: at, ...(event ? { alt: event.alt, shift: event.shift } : {}) });
      showCursor();
    },
  });
  listenKeys({ app, host, store, machine });

  // ---- what a change of the state repaints
  const REPAINT = {
    picture: ['compared', 'cutout', 'playing', 'image', 'map', 'view', 'classes', 'hidden', 'opacityOf', 'opacity', 'layers', 'width', 'height'],
    marks: ['compared', 'cutout', 'ghosts', 'regions', 'map', 'view', 'classes', 'hidden', 'layers', 'selected', 'point', 'draft', 'prompt', 'tool', 'image'],
    proposal: ['proposal', 'scoreLimit', 'prompt', 'preview', 'view', 'classId', 'classes', 'draft', 'whatIf'],
    hot: ['gesture', 'view', 'busy', 'inspect'],
  };
  store.on((state, changed) => {
    for (const [layer, keys] of Object.entries(REPAINT)) if (keys.some((key) => changed.has(key))) layers.invalidate(layer);
    if (changed.has('busy')) {
      busySince = state.busy ? performance.now() : 0;
      animate();
    }
    if (changed.has('proposal') || changed.has('preview')) animate();
    if (changed.has('pointer') && state.busy) layers.invalidate('hot');
    if (['tool', 'held', 'selected', 'prompt', 'classId', 'locked', 'worker', 'engine', 'engines'].some((key) => changed.has(key))) showCursor();
    if (changed.has('classId') || changed.has('locked') || changed.has('hidden') || changed.has('opacity') || changed.has('opacityOf') || changed.has('layers')) remember();
    if (changed.has('index')) showIndex(state);
    if (changed.has('frameId')) host.dataset.frame = state.frameId; // the frame on screen
    if (((changed.has('frame') && changed.has('frameId')) || changed.has('playing')) && state.frame && !state.playing) {
      announce(t('say.frame', { n: state.index + 1, m: state.total, state: t(`state.${state.frame.state}`) }));
    }
  });

  let ants = 0;
  function animate() {
    const needed = () => (get().proposal || get().preview || get().busy) && !still.matches;
    if (ants || !needed()) return;
    const beat = () => {
      if (!needed()) {
        ants = 0;
        return;
      }
      if (!document.hidden) layers.invalidate(...(get().proposal || get().preview ? ['proposal'] : []), ...(get().busy ? ['hot'] : []));
      ants = setTimeout(beat, ANTS_MS);
    };
    ants = setTimeout(beat, ANTS_MS);
  }

  let remembering = 0;
  function keep() {
    clearTimeout(remembering);
    remembering = 0;
    const state = store.get();
    try {
      localStorage.setItem(memory, JSON.stringify(Object.fromEntries(REMEMBERED.map((key) => [key, state[key]]))));
    } catch { /* Private windows may refuse: the page works without. */ }
  }
  function remember() {
    clearTimeout(remembering);
    remembering = setTimeout(keep, 300);
  }
  addEventListener('pagehide', () => { if (remembering) keep(); });

  const frameNumber = byId('frame-number');
  function showIndex(state) {
    if (frameNumber && document.activeElement !== frameNumber) frameNumber.value = String(state.index + 1);
    host.setAttribute('aria-label', t('canvas.label', { n: state.index + 1 }));
  }
  if (frameNumber) {
    const read = () => {
      const wanted = Number.parseInt(frameNumber.value, 10);
      if (Number.isFinite(wanted)) app.goto(wanted - 1);
      frameNumber.value = String(get().index + 1);
    };
    frameNumber.addEventListener('keydown', (e) => {
      if (e.key === 'Enter') {
        read();
        host.focus();
      } else if (e.key === 'Escape') {
        frameNumber.value = String(get().index + 1);
        host.focus();
      }
    });
    frameNumber.addEventListener('change', read);
  }

  function onChanged({ frame, actor, key, job }) {
    if (frame && actor && actor === data.actor && transport.unsent > 0) return;
    // What a job made for us is an edit that can be taken back here.
    if (job && actor === data.actor) store.set({ canUndo: true, canRedo: false });
    if (!frame) {
      const here = get().frameId;
      frames.changedAll();
      if (here) frames.refresh(here);
      emit('pt:regions', { frame_id: here, actor });
      return;
    }
    if (get().frameId !== frame) {
      frames.changed(frame, null, key);
      return;
    }
    if (get().map?.key === key && key) return;
    frames.changed(frame);
    frames.refresh(frame);
    emit('pt:regions', { frame_id: frame, actor });
  }

  if (byId('tools')) mountToolbar(byId('tools'), { app, store, t });
  mountBar({ toggles: byId('layer-toggles'), opacity: byId('opacity'), readout: byId('pixel-readout'), zoom: byId('zoom-controls') }, { app, store, t });
  mountChip(host, { app, store, t });
  mountEngineMenu({ button: byId('engine'), menu: byId('engine-menu') }, { app, store, t });
  const notes = mountNotes(host.parentElement, { store, t });
  Object.assign(field, mountTextField(byId('canvas-bar'), notes, { app, store, t, projectId: data.project.id }));
  Object.assign(app, mountTracking(host, { ...context, ...ids, app, labels }));
  mountWhatIf(byId('classes'), { app, whatIf, store, t, ...ids });
  Object.assign(app, mountStabilising(host, { ...context, ...ids, app, classes: byId('classes') }));
  Object.assign(app, mountMatting(host, { ...context, ...ids, app, classes: byId('classes'), facts: data.mattes }));
  mountInspector(byId('what-if') ?? byId('classes'), { app, store, t });
  document.body.addEventListener('pt-job', whatIf.follow);
  if (byId('timeline')) timeline = mountTimeline({ root: byId('timeline'), app, store, transport, data, t, say });
  Object.assign(app, mountReview({ ...context, app, data }));
  bindActionButtons(document, { app, store, t });
  document.addEventListener('pt:do', (e) => app.request(e.detail ?? {}));
  addEventListener('beforeunload', (e) => {
    if (transport.unsent === 0) return;
    e.preventDefault();
    e.returnValue = t('error.leave');
  });

  app.useTool('point-plus');
  showIndex(get());
  emit('pt:class', { class_id: get().classId });
  frames.goto(get().index);
  return { app, store, destroy: () => { layers.destroy(); transport.close(); } };
}

function prepareHost(host, data, t) {
  host.classList.add('pt-canvas');
  host.tabIndex = 0;
  host.setAttribute('role', 'application');
  const help = el('p', { class: 'sr', id: 'canvas-help' }, t('canvas.help'));
  host.after(help);
  host.setAttribute('aria-describedby', 'canvas-help');
}

const host = globalThis.document?.getElementById('canvas-host');
const source = globalThis.document?.getElementById('workspace-data');
if (host && source) {
  const mounted = mount(host, JSON.parse(source.textContent));
  // For the browser tests and for the console: the state, read-only by convention.
  globalThis.pointillist = mounted;
}
