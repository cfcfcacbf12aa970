/** The preview of a matte on the open frame: asked for, held in memory, made anew when the frame or the choice changes. */
import { isThere, parametersOf } from './matte.js';
import { middleOf } from './paint/matte.js';

const REST_MS = 250;
/** A fine engine takes its time on a large frame. */
const PATIENCE_MS = 150_000;

/**
 * The state under `cutout` (null without a preview): {frameId, rgba, alpha, side, held, over, colour, wipe}.
 * @param panel {get, change, plan, engine, wrong} of the panel that asks
 */
export function createCutout({ store, transport, announce, t, app, sent, later, panel, locate = middleOf }) {
  const get = store.get;
  let asked = 0;
  let timer = 0;
  let tool = null;
  const look = (patch) => { if (get().cutout) store.set({ cutout: { ...get().cutout, ...patch } }); };
  const isOpen = () => Boolean(get().matte) && panel.get()?.phase === 'setup';

  /** The target that is looked at: the first that is on the frame, null where none is. */
  function lookedAt() {
    const { groups, targets } = panel.plan();
    const state = get();
    return targets[groups.findIndex((subjects) => isThere(subjects, state.index, state))] ?? null;
  }

  async function open() {
    const target = lookedAt();
    const engine = panel.engine();
    const frame = get().frameId;
    if (!target || !engine || !frame) return;
    const mine = asked += 1;
    panel.change({ previewing: true, problem: null });
    try {
      const body = { target, engine: engine.id, parameters: parametersOf(panel.get().choice, engine) };
      const found = await sent(`/frames/${frame}/matte-preview`, body, PATIENCE_MS);
      const [rgba, alpha] = await Promise.all([transport.picture(found.rgba), transport.picture(found.alpha)]);
      if (mine !== asked || !isOpen()) release({ rgba, alpha });
      else show({ frameId: frame, rgba, alpha });
    } catch (error) {
      if (mine !== asked || !isOpen()) return;
      leave();
      panel.wrong(error);
    } finally {
      if (mine === asked || !get().cutout) panel.change({ previewing: false });
    }
  }

  function show(found) {
    const known = get().cutout;
    const view = known ?? { side: 'both', held: false, over: 'checker', wipe: wipeOver(found.alpha) };
    store.set({ cutout: { ...view, ...found, colour: panel.get().choice.background } });
    release(known);
    announce(t('matte.preview_ready'));
    if (known) return;
    tool = get().tool;
    app.useTool('pan');
  }

  /** The border begins on the target. */
  function wipeOver(alpha) {
    const middle = locate(alpha);
    return middle === null ? 0.5 : Math.min(0.9, Math.max(0.1, middle));
  }

  function release(pictures) {
    pictures?.rgba.close?.();
    pictures?.alpha.close?.();
  }

  /** The tool is the one from before. */
  function leave() {
    asked += 1;
    clearTimeout(timer);
    const known = get().cutout;
    if (!known) return;
    store.set({ cutout: null });
    release(known);
    if (tool && get().tool === 'pan') app.useTool(tool);
    tool = null;
  }

  /** Make it anew once nothing moves for a moment. */
  function renewSoon() {
    if (!get().cutout) return;
    clearTimeout(timer);
    timer = later(() => (get().cutout && isOpen() && !get().playing ? open() : null), REST_MS);
  }

  return {
    open, leave, renewSoon, canOpen: () => Boolean(lookedAt()),
    /** A preview goes with the frame and with its labels. */
    follow(state, changed) {
      if (!state.cutout || state.playing) return;
      if (changed.has('map') || (state.frameId !== state.cutout.frameId && (changed.has('frameId') || changed.has('playing')))) renewSoon();
    },
    /** Who listens for the preview looks again whether it is shown. */
    touch: () => look({}),
    setSide: (side) => look({ side }), setOver: (over) => look({ over }), setColour: (colour) => look({ colour }),
    setWipe: (wipe) => look({ wipe: Math.min(1, Math.max(0, Math.round(wipe * 1000) / 1000)) }),
    hold: (held) => { if (get().cutout && get().cutout.held !== held) look({ held }); },
  };
}
