/** The stacked canvases of the host, sized in device pixels and redrawn at most once a frame, each only when dirty. */
const NAMES = ['picture', 'marks', 'proposal', 'hot'];

export function createLayers(host, painters, { onResize }) {
  const layers = {};
  for (const name of NAMES) {
    const canvas = document.createElement('canvas');
    canvas.className = `pt-layer pt-layer-${name}`;
    canvas.setAttribute('aria-hidden', 'true');
    host.append(canvas);
    layers[name] = { canvas, context: canvas.getContext('2d', { alpha: true }), dirty: true };
  }
  let scheduled = 0;
  let ratio = 1;
  let size = { width: 0, height: 0 };

  function flush(time) {
    scheduled = 0;
    for (const name of NAMES) {
      const layer = layers[name];
      if (!layer.dirty) continue;
      layer.dirty = false;
      const c = layer.context;
      c.setTransform(1, 0, 0, 1, 0, 0);
      c.clearRect(0, 0, layer.canvas.width, layer.canvas.height);
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      painters[name](c, { ...size, ratio, time });
    }
  }

  function invalidate(...names) {
    for (const name of names.length ? names : NAMES) layers[name].dirty = true;
    if (!scheduled) scheduled = requestAnimationFrame(flush);
  }

  function measure() {
    const box = host.getBoundingClientRect();
    const next = { width: Math.max(1, Math.round(box.width)), height: Math.max(1, Math.round(box.height)) };
    const nextRatio = globalThis.devicePixelRatio || 1;
    if (next.width === size.width && next.height === size.height && nextRatio === ratio) return;
    const before = size;
    size = next;
    ratio = nextRatio;
    for (const { canvas } of Object.values(layers)) {
      canvas.width = Math.round(size.width * ratio);
      canvas.height = Math.round(size.height * ratio);
    }
    onResize(before, size);
    invalidate();
    // A resized canvas is empty at once: paint now, or it flashes.
    cancelAnimationFrame(scheduled);
    flush(performance.now());
  }

  const observer = new ResizeObserver(measure);
  observer.observe(host);
  measure();
  return { invalidate, measure, flush: () => { cancelAnimationFrame(scheduled); flush(performance.now()); },
    destroy: () => observer.disconnect(), get size() { return size; } };
}
