/** Pointer and wheel events of the canvas → events of the machine, in frame px. */
import { toFrame, wheelFactor } from './view.js';

export function listenPointer(host, { store, machine, zoomAt, pan, onPointer, onGesture }) {
  const touches = new Map();
  let rect = host.getBoundingClientRect();
  let pressed = false;
  let middle = false;
  let pinch = null;

  const measure = () => { rect = host.getBoundingClientRect(); };
  function read(e) {
    const screen = { x: e.clientX - rect.left, y: e.clientY - rect.top };
    return { screen, at: toFrame(store.get().view, screen), alt: e.altKey, shift: e.shiftKey, ctrl: e.ctrlKey || e.metaKey, type: e.pointerType };
  }

  host.addEventListener('pointerenter', measure);
  host.addEventListener('blur', () => host.classList.remove('pt-pointing'));
  host.addEventListener('pointerdown', (e) => {
    if (e.target.closest('.pchip')) return;
    measure();
    // A ring is for those who came by key.
    host.classList.add('pt-pointing');
    host.focus({ preventScroll: true });
    if (e.pointerType === 'touch') {
      touches.set(e.pointerId, { x: e.clientX, y: e.clientY });
      if (touches.size === 2) {
        machine.cancel();
        pressed = false;
        pinch = spread(touches);
        return;
      }
    }
    if (e.button === 1) {
      e.preventDefault();
      middle = true;
      machine.hold('pan');
    } else if (e.button !== 0) {
      return;
    }
    host.setPointerCapture(e.pointerId);
    pressed = true;
    onGesture();
    const event = read(e);
    onPointer(event.at, event);
    machine.handle('down', event);
  });

  host.addEventListener('pointermove', (e) => {
    if (pinch && touches.has(e.pointerId)) {
      touches.set(e.pointerId, { x: e.clientX, y: e.clientY });
      const now = spread(touches);
      pan(now.x - pinch.x, now.y - pinch.y);
      zoomAt({ x: now.x - rect.left, y: now.y - rect.top }, now.size / pinch.size);
      pinch = now;
      return;
    }
    const event = read(e);
    onPointer(event.at, event);
    machine.handle(pressed ? 'move' : 'hover', event);
  });

  function end(e, cancelled) {
    touches.delete(e.pointerId);
    if (touches.size < 2) pinch = null;
    if (!pressed) return;
    pressed = false;
    if (cancelled) machine.cancel();
    else machine.handle('up', read(e));
    if (middle) {
      middle = false;
      machine.release();
    }
  }
  host.addEventListener('pointerup', (e) => end(e, false));
  host.addEventListener('pointercancel', (e) => end(e, true));
  host.addEventListener('lostpointercapture', (e) => end(e, true));
  host.addEventListener('pointerleave', () => {
    if (pressed) return;
    onPointer(null, null);
    machine.handle('leave');
  });
  host.addEventListener('contextmenu', (e) => e.preventDefault());
  host.addEventListener('wheel', (e) => {
    e.preventDefault();
    measure();
    if (e.shiftKey && !e.ctrlKey) pan(-(e.deltaX || e.deltaY), 0);
    else zoomAt({ x: e.clientX - rect.left, y: e.clientY - rect.top }, wheelFactor(e));
  }, { passive: false });
}

function spread(touches) {
  const [a, b] = [...touches.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, size: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) };
}
