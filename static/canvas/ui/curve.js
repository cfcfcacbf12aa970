/** Instability along the frames before and after, as a small chart that leads to frames: by pointer, and by keys as a slider. */
import { el } from '../dom.js';
import { bucketed, ceilingOf } from '../stabilise.js';

const SVG = 'http://www.w3.org/2000/svg';
const MOST = 320;
const HIGH = 100;

function shape(tag, props) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, String(value));
  return node;
}

/** A step line through the values, broken where there is none; closed down to the floor where `filled`. */
function pathOf(values, ceiling, filled) {
  const parts = [];
  let open = null;
  const shut = (i) => {
    if (open !== null && filled) parts.push(`L${i} ${HIGH}Z`);
    open = null;
  };
  values.forEach((value, i) => {
    if (value === null) {
      shut(i);
      return;
    }
    const y = (HIGH * (1 - Math.min(1, value / ceiling))).toFixed(2);
    if (open === null) parts.push(filled ? `M${i} ${HIGH}L${i} ${y}` : `M${i} ${y}`);
    else parts.push(`L${i} ${y}`);
    parts.push(`L${i + 1} ${y}`);
    open = i;
  });
  shut(values.length);
  return parts.join('');
}

/** @param on {goto(index), visit(step)} */
export function createCurve({ t, on }) {
  const svg = shape('svg', { preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const here = el('i', { class: 'st-here', 'aria-hidden': 'true' });
  const top = el('span', { class: 'st-top', 'aria-hidden': 'true' });
  const box = el('div', { class: 'st-curve', role: 'slider', tabindex: '0', 'aria-label': t('stab.curve') }, svg, here, top);
  const said = el('p', { class: 'm t1 st-said', 'aria-hidden': 'true' });
  const limitWord = el('span', {});
  const legend = el('p', { class: 'f t1 st-legend', 'aria-hidden': 'true' }, el('i', { class: 'was' }), t('stab.before'), el('i', { class: 'is' }), t('stab.after'), el('i', { class: 'lim' }), limitWord);
  const node = el('div', { class: 'st-chart' }, box, said, legend);
  let curve = null;
  let index = 0;

  const clamp = (at) => Math.min(curve.start + curve.before.length - 1, Math.max(curve.start, at));
  const value = (number) => (number === null || number === undefined ? '–' : number.toFixed(2));
  function sentence(at) {
    const [before, after] = [curve.before[at - curve.start], curve.after[at - curve.start]];
    return before == null && after == null ? t('stab.curve_none', { n: at + 1 }) : t('stab.curve_here', { n: at + 1, before: value(before), after: value(after) });
  }
  const under = (e) => {
    const { left, width } = box.getBoundingClientRect();
    return clamp(curve.start + Math.floor(((e.clientX - left) / width) * curve.before.length));
  };
  function tell(at) { said.textContent = sentence(at); }

  box.addEventListener('pointerdown', (e) => {
    if (e.button !== 0) return;
    box.setPointerCapture(e.pointerId);
    on.goto(under(e));
  });
  box.addEventListener('pointermove', (e) => {
    tell(under(e));
    if (box.hasPointerCapture(e.pointerId)) on.goto(under(e));
  });
  box.addEventListener('pointerleave', () => tell(clamp(index)));
  box.addEventListener('keydown', (e) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
    if (step) on.goto(clamp(index + step));
    else if (e.key === 'Home') on.goto(curve.start);
    else if (e.key === 'End') on.goto(clamp(Infinity));
    else if (e.key === 'PageUp' || e.key === 'PageDown') on.visit(e.key === 'PageDown' ? 1 : -1);
    else return;
    e.preventDefault();
    e.stopPropagation();
  });

  return {
    node,
    /** @param next {start, before, after}: fractions 0..1, null where nothing was compared */
    show(next, limit) {
      curve = next;
      const { before, after } = bucketed(curve, MOST);
      const ceiling = ceilingOf(curve, limit);
      const y = HIGH * (1 - limit / ceiling);
      svg.setAttribute('viewBox', `0 0 ${before.length} ${HIGH}`);
      svg.replaceChildren(
        shape('path', { class: 'was', d: pathOf(before, ceiling, true) }),
        shape('path', { class: 'lim', d: `M0 ${y}H${before.length}` }),
        shape('path', { class: 'is', d: pathOf(after, ceiling, false) }));
      top.textContent = ceiling.toFixed(2).replace(/0$/, '');
      limitWord.textContent = t('stab.limit', { value: limit });
      box.setAttribute('aria-valuemin', String(curve.start + 1));
      box.setAttribute('aria-valuemax', String(curve.start + curve.before.length));
      this.place(index);
    },
    place(at) {
      index = at;
      if (!curve) return;
      const n = curve.before.length;
      here.hidden = at < curve.start || at >= curve.start + n;
      here.style.setProperty('--at', `${((at - curve.start + 0.5) / n) * 100}%`);
      tell(clamp(at));
      box.setAttribute('aria-valuenow', String(clamp(at) + 1));
      box.setAttribute('aria-valuetext', sentence(clamp(at)));
    },
  };
}
