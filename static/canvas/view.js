/**
 * The view: screen = frame * scale + (x, y), in CSS px. Pure; every function returns a new view.
 * `fit: true` marks a view that follows the canvas when it is resized.
 */
export const MARGIN = 12;
export const MIN_SCALE = 0.02;
export const MAX_SCALE = 64;
/** Beyond this the pixels themselves are the subject: no smoothing, and later a grid. */
export const PIXELATED_FROM = 3;
export const GRID_FROM = 12;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export function fitView(viewport, image, margin = MARGIN) {
  if (!image?.width || !image?.height || !viewport.width || !viewport.height) return { scale: 1, x: 0, y: 0, fit: true };
  const scale = clamp(
    Math.min((viewport.width - 2 * margin) / image.width, (viewport.height - 2 * margin) / image.height),
    MIN_SCALE, MAX_SCALE);
  return {
    scale, fit: true,
    x: (viewport.width - image.width * scale) / 2,
    y: (viewport.height - image.height * scale) / 2,
  };
}

/** Zoom by `factor`; the frame position under `at` (screen) stays where it is. */
export function zoomAt(view, at, factor, viewport, image) {
  const scale = clamp(view.scale * factor, MIN_SCALE, MAX_SCALE);
  const k = scale / view.scale;
  return keepInSight({ scale, x: at.x - (at.x - view.x) * k, y: at.y - (at.y - view.y) * k, fit: false }, viewport, image);
}

export function panBy(view, dx, dy, viewport, image) {
  return keepInSight({ ...view, x: view.x + dx, y: view.y + dy, fit: false }, viewport, image);
}

/** A strip of the frame at least 48 px wide stays on the canvas, so that a lost picture cannot happen. */
export function keepInSight(view, viewport, image, strip = 48) {
  if (!image?.width || !viewport?.width) return view;
  const wide = image.width * view.scale;
  const high = image.height * view.scale;
  const sx = Math.min(strip, wide);
  const sy = Math.min(strip, high);
  return { ...view, x: clamp(view.x, sx - wide, viewport.width - sx), y: clamp(view.y, sy - high, viewport.height - sy) };
}

/** The view after the canvas changed size: fitted again, or the same frame position in the middle. */
export function resized(view, before, after, image) {
  if (view.fit || !before.width) return fitView(after, image);
  return keepInSight(
    { ...view, x: view.x + (after.width - before.width) / 2, y: view.y + (after.height - before.height) / 2 }, after, image);
}

export const toFrame = (view, screen) => ({ x: (screen.x - view.x) / view.scale, y: (screen.y - view.y) / view.scale });
export const toScreen = (view, at) => ({ x: at.x * view.scale + view.x, y: at.y * view.scale + view.y });

/** Wheel delta → factor. Lines and pages (Firefox) are turned into px first; a pinch arrives as wheel + Ctrl. */
export function wheelFactor({ deltaY, deltaMode = 0, ctrlKey = false }) {
  const px = deltaMode === 1 ? deltaY * 16 : deltaMode === 2 ? deltaY * 400 : deltaY;
  return Math.exp(-clamp(px, -240, 240) * (ctrlKey ? 0.01 : 0.002));
}
