/** Points of all regions, the selection line and handles, certificates. */
import { regionLoops } from '../labelmap.js';
import { toScreen } from '../view.js';
import { paintFlags } from './flags.js';
import { ringPath, screenPath } from './paths.js';
import { dot, handle, node, reach } from './points.js';

export function paintMarks(c, size, state) {
  if (!state.width) return;
  const { view, layers } = state;
  const colourOf = (region) => state.classes.get(region.class_id)?.colour ?? '#888888';
  const seen = state.regions.filter((region) => !state.hidden[region.class_id]);
  const selected = seen.find((region) => region.id === state.selected) ?? null;
  const grabbed = Boolean(state.draft);

  if (selected) selectionLine(c, state, selected);
  if (layers.points) {
    c.globalAlpha = grabbed ? 0.4 : 1;
    for (const region of seen) {
      if (region === selected) continue;
      // A − lies outside its region, where it would be taken for a point of another: it comes with the selection.
      for (const point of region.geometry.points) {
        if (point.label !== 1) continue;
        const at = toScreen(view, point);
        if (inSight(at, size)) dot(c, at.x, at.y, colourOf(region));
      }
    }
    c.globalAlpha = 1;
  }
  if (layers.certificates) for (const region of seen) certificate(c, view, region);
  else paintFlags(c, size, state, seen);
  // While a prompt refines the region its own points are part of the prompt and are drawn there.
  if (selected && state.prompt?.refine !== selected.id) selectedHandles(c, state, selected, colourOf(selected));
}

const inSight = (at, size, pad = 24) => at.x > -pad && at.y > -pad && at.x < size.width + pad && at.y < size.height + pad;

function selectionLine(c, state, region) {
  const geometry = state.draft?.id === region.id ? state.draft.geometry : region.geometry;
  const path = geometry.outline
    ? geometry.outline.reduce((all, ring) => {
      all.addPath(ringPath(ring, state.view));
      return all;
    }, new Path2D())
    : state.map && screenPath(regionLoops(state.map, region.id), state.view);
  if (!path) return;
  c.lineJoin = 'round';
  c.strokeStyle = 'rgb(0 0 0 / .8)';
  c.lineWidth = 4;
  c.stroke(path);
  c.strokeStyle = '#fff';
  c.lineWidth = 1.8;
  c.stroke(path);
}

function selectedHandles(c, state, region, colour) {
  const { view } = state;
  const draft = state.draft?.id === region.id ? state.draft : null;
  const geometry = draft?.geometry ?? region.geometry;
  geometry.points.forEach((point, index) => {
    const at = toScreen(view, point);
    // The reach of a − says how far the outside goes: rings as large as the frame would bury the region.
    if (point.r > 0 && (point.label === 1 || state.point === index)) reach(c, at.x, at.y, point.r * view.scale);
  });
  geometry.points.forEach((point, index) => {
    const at = toScreen(view, point);
    const held = draft?.index === index && draft.part === 'point';
    c.globalAlpha = draft && !held ? 0.4 : 1;
    handle(c, at.x, at.y, { colour, positive: point.label === 1, held, chosen: state.point === index });
  });
  c.globalAlpha = 1;
  if (geometry.outline && (state.tool === 'outline' || state.tool === 'select')) {
    geometry.outline.forEach((ring, r) => ring.forEach(([x, y], n) => {
      const at = toScreen(view, { x, y });
      node(c, at.x, at.y, draft?.part === 'node' && draft.ring === r && draft.node === n);
    }));
  }
}

function certificate(c, view, region) {
  const first = region.geometry.points.find((point) => point.label === 1);
  const cert = region.certificate;
  if (!first || !cert) return;
  const at = toScreen(view, first);
  const sign = cert.exact || cert.iou >= cert.target ? '✓' : cert.iou < 0.9 ? '✕' : '!';
  const text = `${sign} ${cert.iou.toFixed(2)}`;
  c.font = '500 11px system-ui, sans-serif';
  c.textBaseline = 'middle';
  const w = c.measureText(text).width + 10;
  c.fillStyle = 'rgb(17 17 17 / .86)';
  c.beginPath();
  c.roundRect(at.x - w / 2, at.y - 28, w, 18, 3);
  c.fill();
  c.fillStyle = sign === '✓' ? '#62c98d' : sign === '!' ? '#e9b44c' : '#ff8078';
  c.fillText(text, at.x - w / 2 + 5, at.y - 18.5);
}
