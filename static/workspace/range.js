/** A range of frames selected on the timeline: a tinted band with two handles, by pointer and by keys. */
import { el, icon } from '../canvas/dom.js';

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** The range between two frames, whichever comes first; both are in it. */
export const between = (a, b, total) => ({ start: clamp(Math.min(a, b), 0, total - 1), stop: clamp(Math.max(a, b), 0, total - 1) });

/** One end moved to `to`, never past the other. */
export function withEdge(range, edge, to, total) {
  return edge === 'start' ? { ...range, start: clamp(to, 0, range.stop) } : { ...range, stop: clamp(to, range.start, total - 1) };
}

/** This frame as the start or the end: a range where there was none goes to that end of the asset; one passed over moves on. */
export function marked(range, edge, index, total) {
  const known = range ?? { start: 0, stop: total - 1 };
  if (edge === 'start') return { start: index, stop: known.stop < index ? total - 1 : known.stop };
  return { start: known.start > index ? 0 : known.start, stop: index };
}

export const lengthOfRange = ({ start, stop }) => stop - start + 1;

/**
 * @param on {range(range | null), frameAt(clientX), reveal(index)}
 */
export function createRange(grid, { t, on, total }) {
  const handle = (edge) => el('div', {
    class: `pt-edge ${edge}`, role: 'slider', tabindex: '0', 'data-edge': edge,
    'aria-label': t(edge === 'start' ? 'range.start' : 'range.stop'), 'aria-orientation': 'horizontal',
  });
  const edges = { start: handle('start'), stop: handle('stop') };
  const words = el('span', { class: 'tr' });
  const close = el('button', { type: 'button', class: 'pt-range-x', 'aria-label': t('range.clear'), title: t('range.clear') }, icon('x', true));
  const label = el('div', { class: 'pt-range-label' }, words, close);
  const band = el('div', { class: 'pt-band', role: 'group', 'aria-label': t('range.name'), hidden: true },
    el('div', { class: 'fill' }), edges.start, edges.stop, label);
  grid.append(band);
  let range = null;

  for (const [edge, node] of Object.entries(edges)) {
    node.addEventListener('pointerdown', (e) => {
      if (e.button !== 0) return;
      e.preventDefault();
      e.stopPropagation();
      node.setPointerCapture(e.pointerId);
      node.focus({ preventScroll: true });
      const move = (event) => on.range(withEdge(range, edge, on.frameAt(event.clientX), total()));
      node.addEventListener('pointermove', move);
      node.addEventListener('lostpointercapture', () => node.removeEventListener('pointermove', move), { once: true });
    });
    node.addEventListener('keydown', (e) => {
      const far = e.shiftKey ? 10 : 1;
      const step = { ArrowLeft: -far, ArrowDown: -far, ArrowRight: far, ArrowUp: far, PageUp: 100, PageDown: -100 }[e.key];
      const to = step ? range[edge] + step : { Home: 0, End: total() - 1 }[e.key];
      if (to === undefined) return;
      on.range(withEdge(range, edge, to, total()));
      on.reveal(range[edge]);
      e.preventDefault();
      e.stopPropagation();
    });
  }
  close.addEventListener('click', () => on.range(null));

  return {
    band,
    /** @param text the length in words */
    render(next, view, text) {
      range = next;
      band.hidden = !range;
      if (!range) return;
      const left = range.start * view.cell - view.scroll;
      const right = (range.stop + 1) * view.cell - view.scroll;
      const shown = [clamp(left, -1, view.width + 1), clamp(right, -1, view.width + 1)];
      band.style.setProperty('--from', `${shown[0]}px`);
      band.style.setProperty('--to', `${shown[1]}px`);
      band.classList.toggle('out', right < 0 || left > view.width);
      band.classList.toggle('tight', shown[1] - shown[0] < 96);
      edges.start.hidden = left < -1;
      edges.stop.hidden = right > view.width + 1;
      words.textContent = text;
      for (const [edge, node] of Object.entries(edges)) {
        node.setAttribute('aria-valuemin', '1');
        node.setAttribute('aria-valuemax', String(total()));
        node.setAttribute('aria-valuenow', String(range[edge] + 1));
        node.setAttribute('aria-valuetext', t('time.value', { n: range[edge] + 1, m: total() }));
      }
    },
  };
}
