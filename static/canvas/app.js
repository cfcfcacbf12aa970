/** Everything an action, a button or another panel may ask of the workspace. No DOM but focus and page-wide classes. */
import { actionById, isEnabled } from './actions.js';
import { obstacle } from './engines.js';
import { frameIndex } from './ids.js';
import { regionAt } from './labelmap.js';
import { fitView, panBy, zoomAt } from './view.js';

const PAGE_PARTS = ['.rail', '#tools', '#canvas-host', '.panel', '#strip'];
const clamp01 = (value) => Math.min(1, Math.max(0, value));

export function createApp({
  store, host, machine, frames, labels, history, player, choice, timeline, whatIf, emit, say, announce, t, openHelp, focusText, invalidateHover,
}) {
  const get = store.get;
  let pans = 0;
  let before = 'select';

  const image = () => ({ width: get().width, height: get().height });
  const middle = () => ({ x: get().viewport.width / 2, y: get().viewport.height / 2 });
  const setView = (view) => store.set({ view });

  const app = {
    state: get,
    pans: () => pans,
    touched: () => { pans += 1; },

    useTool(id) {
      machine.use(id);
      if (id === 'inspect' && get().tool !== id) before = get().tool;
      store.set({ tool: id });
    },
    /** `text`: what to look for at once. */
    startText(text = '') {
      app.useTool('text');
      focusText(text);
    },
    /** The keys belong to the canvas again. */
    toCanvas: () => host.focus({ preventScroll: true }),
    toggleInspect: () => (get().tool === 'inspect' ? app.leaveInspect() : app.useTool('inspect')),
    leaveInspect: () => app.useTool(before),
    toggleWhatIf: () => whatIf.toggle(),
    modifiers(e) {
      store.set({ alt: Boolean(e.altKey), shift: Boolean(e.shiftKey) });
      invalidateHover(e);
    },

    /** A held key accepts, but does not go on to track. */
    accept({ held = false } = {}) {
      if (machine.handle('accept')) return;
      if (get().prompt || !get().retrack) labels.accept();
      else if (!held) app.retrack('forward');
    },
    reject: () => labels.reject(),
    cycle: labels.cycle,
    toggleInstance: () => labels.toggle(),
    limitBy: labels.limitBy,
    setLimit: labels.setLimit,
    /** Ask for a text; false where the chosen engine cannot, which the field says. */
    askText(text) {
      const locked = labels.lockedReason();
      const wrong = obstacle(get(), ['text']);
      if (locked) say(locked, 'warn');
      else if (!wrong) labels.askText(text);
      return !locked && !wrong;
    },
    useEngine: choice.use,
    nextEngine: choice.next,
    refreshEngines: choice.refresh,
    useEngineForProject: choice.useForProject,
    takeBack() { if (!machine.handle('back')) labels.takeBack(); },
    escape() {
      if (machine.cancel() || labels.reject()) return;
      if (get().playing) player.stop();
      else if (get().retrack) app.leaveRetrack();
      else if (get().tool === 'inspect') app.leaveInspect();
      else if (get().point !== null) store.set({ point: null });
      else if (get().selected) labels.choose(null);
      else say('');
    },
    removeSelected() { if (!machine.handle('remove')) labels.removeSelected(); },
    undo: history.undo,
    redo: history.redo,
    toggleFrameState: history.toggleFrameState,

    setClass(id, { fresh = false } = {}) {
      if (!get().classes.has(id)) return;
      if (fresh) {
        labels.reject({ silent: true });
        labels.choose(null);
      }
      if (get().classId === id) return;
      store.set({ classId: id });
      emit('pt:class', { class_id: id });
      announce(t('say.class', { name: get().classes.get(id).name }));
    },
    toggleClass: (id, visible) => toggleIn('hidden', id, visible === undefined ? undefined : !visible),
    lockClass: (id, locked) => toggleIn('locked', id, locked),
    /** A class's own opacity; set to the common one it follows the common one again. */
    classOpacity(id, value) {
      const opacityOf = { ...get().opacityOf, [id]: clamp01(value) };
      if (Math.abs(opacityOf[id] - get().opacity) < 0.006) delete opacityOf[id];
      store.set({ opacityOf });
    },
    /** The class under a frame position: an object, null = unlabelled, undefined = outside or not known. */
    classAt(at) {
      const { map, width, height, classes } = get();
      if (!map || at.x < 0 || at.y < 0 || at.x >= width || at.y >= height) return undefined;
      const region = regionAt(map, at);
      return region ? classes.get(region.class_id) ?? null : null;
    },

    /** To a frame; what plays goes on playing from there. */
    goto: player.seek,
    /** Frame by frame: what plays stands still first. */
    step(n) {
      player.stop();
      return frames.goto(get().index + n);
    },
    togglePlay: player.toggle,
    stopPlaying: player.stop,
    setSpeed: player.setSpeed,
    changeSpeed: player.changeSpeed,
    toggleLoop: player.toggleLoop,
    /** To the next frame of a kind (todo, unlabelled, flagged, anchor), or with −1 the previous one. */
    jump: (kind, step) => timeline()?.jump(kind, step),
    /** This frame is the start or the stop of the selected range. */
    setRangeEdge: (edge) => timeline()?.setRangeEdge(edge),

    zoom: (factor, at = middle()) => setView(zoomAt(get().view, at, factor, get().viewport, image())),
    zoomTo: (scale) => app.zoom(scale / get().view.scale),
    pan(dx, dy) {
      pans += 1;
      setView(panBy(get().view, dx, dy, get().viewport, image()));
    },
    fit: () => setView(fitView(get().viewport, image())),
    toggleLayer(layer) { store.set({ layers: { ...get().layers, [layer]: !get().layers[layer] } }); },
    setOpacity: (value) => store.set({ opacity: clamp01(Math.round(value * 100) / 100) }),
    togglePanels() {
      const bare = document.documentElement.classList.toggle('pt-bare');
      emit('pt:panels', { hidden: bare });
    },

    help: openHelp,
    cycleFocus(step) {
      const parts = PAGE_PARTS.map((selector) => document.querySelector(selector)).filter((part) => part && part.offsetParent !== null);
      const here = parts.findIndex((part) => part.contains(document.activeElement));
      // A part in which nothing can take the focus is passed over.
      for (let n = 1; n <= parts.length; n++) {
        const next = parts[(here + step * n + parts.length * (n + 1)) % parts.length];
        const target = next.matches('[tabindex]') ? next
          : next.querySelector('[tabindex="0"], a[href], button:not([tabindex="-1"]), input:not([type=hidden]), [tabindex]');
        if (!target) continue;
        target.focus();
        return;
      }
    },
  };

  function toggleIn(key, id, on = !get()[key][id]) {
    const next = { ...get()[key] };
    if (on) next[id] = true;
    else delete next[id];
    store.set({ [key]: next });
    emit('pt:classes', { hidden: Object.keys(get().hidden).map(Number), locked: Object.keys(get().locked).map(Number) });
  }

  /** What other panels may ask by `pt:do`; any id of the action table works too. */
  const requests = {
    'select-region': ({ region_id }) => labels.choose(region_id ?? null),
    'set-class': ({ class_id, fresh }) => app.setClass(Number(class_id), { fresh }),
    'toggle-class': ({ class_id, visible }) => app.toggleClass(Number(class_id), visible),
    'lock-class': ({ class_id, locked }) => app.lockClass(Number(class_id), locked),
    'class-opacity': ({ class_id, value }) => app.classOpacity(Number(class_id), Number(value)),
    'set-region-class': ({ region_id, class_id }) => labels.setRegionClass(region_id, Number(class_id)),
    'set-region-attributes': ({ region_id, attributes }) => labels.setRegionAttributes(region_id, attributes),
    'delete-region': ({ region_id }) => app.remove(region_id ?? undefined),
    track: ({ direction }) => app.openTrack(direction),
    interpolate: ({ region_id }) => app.interpolate(region_id),
    'confirm-region': ({ region_id }) => app.confirmRegion(region_id),
    'release-region': ({ region_id }) => app.release(region_id),
    say: ({ text, kind = 'info' }) => say(text, kind),
    'join-track': ({ track_id }) => app.join(track_id),
    'mark-range': ({ state }) => app.markRange(state),
    'goto-frame': ({ index, frame_id }) => app.goto(index === undefined ? frameIndex(frame_id) : Number(index)),
    'frame-state': ({ state }) => { if (get().frame?.state !== state) history.setFrameState(state); },
    reload: () => frames.refresh(get().frameId),
  };

  app.request = ({ action, ...args }) => {
    if (requests[action]) {
      requests[action](args);
      return;
    }
    const found = actionById(action);
    if (found && isEnabled(found, get())) found.run(app);
  };
  return app;
}
