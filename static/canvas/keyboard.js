/** Keys of the page → actions. Keys are text in inputs, and controls keep their own keys while they have the focus. */
import { isEnabled, resolve } from './actions.js';
import { belongsToControl, chordsOf, classOfChord, isTyping } from './keys.js';

const TAP_MS = 250;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function listenKeys({ app, host, store, machine }) {
  let space = null;

  /** The canvas or nothing in particular has the focus. */
  const onCanvas = (target) => target === document.body || target === document.documentElement || host.contains(target);

  addEventListener('keydown', (e) => {
    if (e.defaultPrevented || e.isComposing) return;
    if (document.querySelector('dialog[open], [popover]:popover-open')) return;
    const typing = isTyping(e.target);
    const chords = chordsOf(e);
    if (e.key === 'Alt' || e.key === 'Shift') app.modifiers(e);
    if (e.key === ' ' && !typing && onCanvas(e.target) && !e.ctrlKey && !e.altKey) {
      e.preventDefault();
      if (!e.repeat && !space) {
        // What plays stops with the press, on the frame that was seen, not with the release.
        space = { at: store.get().playing ? -Infinity : performance.now(), pans: app.pans(), back: e.shiftKey };
        app.stopPlaying();
        machine.hold('pan');
        store.set({ held: 'pan' });
      }
      return;
    }
    const step = STEPS[e.key];
    if (step && onCanvas(e.target) && !e.ctrlKey && !e.metaKey && !e.altKey) {
      const far = e.shiftKey ? 10 : 1;
      if (machine.handle('arrow', { dx: step[0] * far, dy: step[1] * far })) {
        e.preventDefault();
        return;
      }
    }
    const found = resolve(chords, store.get(), classOfChord);
    if (!found) return;
    if (typing && !(found.action?.global && (e.ctrlKey || e.metaKey || e.key === 'F6') && found.action.group !== 'history')) return;
    if (belongsToControl(e.key) && !onCanvas(e.target)) return;
    if (found.cls) {
      e.preventDefault();
      app.setClass(found.cls.id, { fresh: found.fresh });
      return;
    }
    // A disabled Tab is the browser's own: focus moves on.
    if (!isEnabled(found.action, store.get())) {
      if (e.key !== 'Tab') e.preventDefault();
      return;
    }
    e.preventDefault();
    found.action.run(app, e);
  });

  addEventListener('keyup', (e) => {
    if (e.key === 'Alt' || e.key === 'Shift') app.modifiers(e);
    if (e.key !== ' ' || !space) return;
    const { at, pans, back } = space;
    space = null;
    machine.release();
    store.set({ held: null });
    if (performance.now() - at < TAP_MS && app.pans() === pans) app.togglePlay(back);
  });

  addEventListener('blur', () => {
    app.modifiers({ altKey: false, shiftKey: false });
    if (!space) return;
    space = null;
    machine.release();
    store.set({ held: null });
  });
}
