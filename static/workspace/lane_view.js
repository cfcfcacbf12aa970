/**
 * The lanes in the page: a tree of rows, of which only those in view exist, over one canvas that scrolls with them.
 * Focus stays on the row it is on, even when that is scrolled out of view.
 */
import { el, icon, swatch } from '../canvas/dom.js';
import { paintRows } from './lane_paint.js';
import { ROW, figuresOf, rowsInView } from './lanes.js';
import { cleared } from './palette.js';

/**
 * @param on {toggle(row), step(row, n), event(row, step), choose(row), scrolled()}
 */
export function createLaneView(host, { t, on }) {
  const canvas = el('canvas', { 'aria-hidden': 'true' });
  const tree = el('div', { class: 'pt-rows', role: 'tree', 'aria-label': t('lane.tree'), hidden: true });
  const content = el('div', { class: 'pt-lanes-in' }, canvas, tree);
  const note = el('p', { class: 'pt-lanes-note f t1', hidden: true });
  const box = el('div', { class: 'pt-lanes' }, content, note);
  host.append(box);

  let rows = [];
  let active = null;
  let drawn = { first: 0, last: 0 };
  const nodes = new Map();
  const spare = [];

  function summary(row) {
    const n = figuresOf(row);
    const parts = [row.name];
    if (row.kind === 'class') parts.push(t.n('lane.tracks', row.tracks));
    parts.push(t.n('lane.frames', n.frames));
    if (n.anchors) parts.push(t.n('lane.anchors', n.anchors));
    if (n.flagged) parts.push(t.n('lane.flagged', n.flagged));
    if (n.lost) parts.push(t.n('lane.lost', n.lost));
    return parts.join(', ');
  }

  function fill(node, row) {
    node.className = `pt-row l${row.level} ${row.kind}`;
    node.dataset.key = row.key;
    node.setAttribute('aria-level', String(row.level));
    node.setAttribute('aria-posinset', String(row.position));
    node.setAttribute('aria-setsize', String(row.size));
    node.setAttribute('aria-label', summary(row));
    if (row.open === null) node.removeAttribute('aria-expanded');
    else node.setAttribute('aria-expanded', String(row.open));
    const marks = [];
    if (row.flagged.length) marks.push(['warn', 'warn']);
    if (row.lost.length) marks.push(['x', 'err']);
    node.replaceChildren(el('span', { class: 'll', title: row.name },
      row.kind === 'class' ? (row.open === null ? el('span', { class: 'sp' }) : icon('cd', true)) : null,
      row.kind === 'class' ? swatch(row.colour) : null,
      ...named(row.name),
      row.level === 2 && marks.length ? el('span', { class: 'pt-row-marks', 'aria-hidden': 'true' }, ...marks.map(([glyph, tone]) => el('span', { class: tone }, icon(glyph, true)))) : null,
      row.kind === 'class' && row.tracks ? el('span', { class: 'n' }, String(row.tracks)) : null));
  }

  /** A long name gives way before the number that tells it from its like. */
  function named(name) {
    const [, text, number] = /^(.*?)( \d+)?$/su.exec(name);
    return [el('span', { class: 'nm tr' }, text), number ? el('span', { class: 'no' }, number) : null];
  }

  function make() {
    return spare.pop() ?? el('div', { role: 'treeitem', tabindex: '-1' });
  }

  const indexOf = (key) => rows.findIndex((row) => row.key === key);

  /** Rows in view, and the one that has the focus, exist; the others give their nodes back. */
  function place(selected) {
    const span = rowsInView({ top: box.scrollTop, height: box.clientHeight, count: rows.length });
    const wanted = new Map();
    for (let i = span.first; i < span.last; i++) wanted.set(rows[i].key, i);
    const at = indexOf(active);
    if (at < 0) active = rows[span.first]?.key ?? null;
    else if (!wanted.has(active)) {
      if (nodes.get(active)?.contains(document.activeElement)) wanted.set(active, at);
      else active = rows[Math.min(rows.length - 1, Math.max(0, Math.ceil(box.scrollTop / ROW)))]?.key ?? null;
    }
    for (const [key, node] of nodes) {
      if (wanted.has(key)) continue;
      nodes.delete(key);
      node.remove();
      spare.push(node);
    }
    for (const [key, i] of wanted) {
      let node = nodes.get(key);
      if (!node) {
        node = make();
        nodes.set(key, node);
        node.row = null;
        tree.append(node);
      }
      if (node.row !== rows[i]) {
        node.row = rows[i];
        fill(node, rows[i]);
      }
      node.style.transform = `translateY(${i * ROW}px)`;
      node.tabIndex = key === active ? 0 : -1;
      if (i === selected) node.setAttribute('aria-current', 'true');
      else node.removeAttribute('aria-current');
    }
    return span;
  }

  function focusRow(i) {
    const row = rows[Math.min(Math.max(i, 0), rows.length - 1)];
    if (!row) return;
    active = row.key;
    const top = rows.indexOf(row) * ROW;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
    place(-1);
    on.scrolled();
    nodes.get(active)?.focus({ preventScroll: true });
  }

  tree.addEventListener('focusin', (e) => {
    const key = e.target.dataset.key;
    if (!key || key === active) return;
    nodes.get(active)?.setAttribute('tabindex', '-1');
    active = key;
    e.target.tabIndex = 0;
  });

  tree.addEventListener('keydown', (e) => {
    const i = indexOf(active);
    const row = rows[i];
    if (!row || e.altKey) return;
    const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 1);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1, PageDown: i + page, PageUp: i - page }[e.key];
    const side = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (e.ctrlKey || e.metaKey) {
      if (!side) return;
      on.event(row, side);
    } else if (to !== undefined) focusRow(to);
    else if (side && row.open !== null && !e.shiftKey) {
      if (row.open === side < 0) on.toggle(row);
      else if (side > 0) focusRow(i + 1);
    } else if (side) on.step(row, side * (e.shiftKey ? 10 : 1));
    else if ((e.key === '+' || e.key === '-') && row.open !== null) {
      if (row.open === (e.key === '-')) on.toggle(row);
    } else if (e.key === '-' && row.level === 2) {
      let parent = i;
      while (rows[parent].level > 1) parent -= 1;
      focusRow(parent);
    } else if (e.key === 'Enter' || e.key === ' ') on.choose(row);
    else return;
    e.preventDefault();
    e.stopPropagation();
  });
  box.addEventListener('scroll', () => on.scrolled(), { passive: true });

  return {
    box, tree,
    get rows() { return rows; },
    /** Other rows than before; the one that had the focus keeps it, or its class gets it. */
    setRows(next, message = '') {
      const had = tree.contains(document.activeElement);
      rows = next;
      if (active && indexOf(active) < 0) {
        const parent = active.split(' ')[0];
        active = indexOf(parent) >= 0 ? parent : rows[0]?.key ?? null;
      }
      content.style.height = `${rows.length * ROW}px`;
      tree.hidden = !rows.length;
      note.hidden = !message;
      note.textContent = message;
      place(-1);
      if (had) nodes.get(active)?.focus({ preventScroll: true });
    },
    /** `scrolled`: nothing but the scroll offset changed, so what is drawn is kept as long as it covers the window. */
    render(view, state, ink, { scrolled = false } = {}) {
      const span = place(state.tinted);
      if (scrolled && span.first === drawn.first && span.last === drawn.last) return;
      drawn = span;
      canvas.style.transform = `translateY(${span.first * ROW}px)`;
      const height = Math.max(0, span.last - span.first) * ROW;
      canvas.style.height = `${height}px`;
      const c = cleared(canvas, view.width, height);
      paintRows(c, rows, span, view, state, ink);
    },
    /** Number of the row at a height in the window, or −1. */
    rowAt(clientY) {
      const { top, bottom } = box.getBoundingClientRect();
      const i = Math.floor((clientY - top + box.scrollTop) / ROW);
      return clientY >= top && clientY < bottom && i < rows.length ? i : -1;
    },
    reveal(i) {
      if (i < 0) return;
      const top = i * ROW;
      if (top < box.scrollTop || top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top - Math.max(0, box.clientHeight - ROW) / 2;
    },
  };
}
