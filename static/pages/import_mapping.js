/** The table of source classes: which class of the template each becomes, by row or for several at once. */
import { ask, count, icon, make, t } from '../app.js';

const byId = (id) => document.getElementById(id);
const NEW = 'new';
const occurs = (row) => row.frames > 0 || row.pixels > 0 || row.objects > 0;
const WHY = { rule: () => t('why_rule'), name: () => t('why_name'), value: () => t('why_value'), colour: () => t('why_colour'), void: () => t('why_void'), you: () => t('why_you') };
const SORTS = {
  source: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  value: (a, b) => (a.value ?? 1e9) - (b.value ?? 1e9),
  frames: (a, b) => b.frames - a.frames,
  pixels: (a, b) => b.pixels - a.pixels,
};

/**
 * A choice is '' (none yet), '0' (ignore), 'c:<class id>' or 'n:<name>' for a class that the import will add.
 * `classes`: those of the template, {id, name, colour}; `onChange()` is called after every choice.
 */
export function createMapping(classes, onChange) {
  const table = byId('map-table');
  const bulk = byId('map-all');
  const added = new Map();
  const picked = new Set();
  let rows = [];
  /** Classes that the source declares and no frame has: nothing depends on them, so they ask for nothing. */
  let absent = [];
  let sort = 'pixels';
  let total = 1;
  let last = null;

  const colourOf = (choice) => (choice.startsWith('c:') ? classes.find((cls) => cls.id === Number(choice.slice(2)))?.colour : added.get(choice.slice(2))?.colour);

  function options(select, chosen, first) {
    select.replaceChildren(
      make('option', { value: '' }, first),
      make('option', { value: '0' }, t('ignore')),
      ...classes.map((cls) => make('option', { value: `c:${cls.id}` }, cls.name)),
      ...[...added.keys()].map((name) => make('option', { value: `n:${name}` }, t('new_named', { name }))),
      make('option', { value: NEW }, t('new_class')));
    select.value = chosen;
  }

  function head() {
    const all = make('input', { type: 'checkbox', 'aria-label': t('col_all'), onchange: () => {
      rows.forEach((row) => (all.checked ? picked.add(row.key) : picked.delete(row.key)));
      draw();
    } });
    all.checked = rows.length > 0 && picked.size === rows.length;
    all.indeterminate = picked.size > 0 && picked.size < rows.length;
    const by = (key, label, numeric) => make('th', { class: numeric ? 'num' : '', scope: 'col', 'aria-sort': sort === key ? (key === 'frames' || key === 'pixels' ? 'descending' : 'ascending') : 'none' },
      make('button', { type: 'button', class: 'sort', 'data-sort': key, onclick: () => {
        sort = key;
        draw();
        table.querySelector(`[data-sort=${key}]`).focus();
      } }, label, sort === key ? icon(key === 'frames' || key === 'pixels' ? 'dn' : 'up', 's') : null));
    return make('thead', {}, make('tr', {}, make('th', { class: 'pick' }, make('span', { class: 'chk' }, all)),
      by('source', t('col_source')), by('value', t('col_value'), true), by('frames', t('col_frames'), true), by('pixels', t('col_pixels'), true),
      make('th', { scope: 'col' }, t('col_to')), make('th', { scope: 'col' }, t('col_why'))));
  }

  function line(row) {
    const box = make('input', { type: 'checkbox', 'aria-label': t('select_row', { name: row.name }), onclick: (event) => {
      const order = sorted();
      const [from, to] = [last === null ? row : rows.find((other) => other.key === last) ?? row, row].map((other) => order.indexOf(other)).sort((a, b) => a - b);
      const range = event.shiftKey ? order.slice(from, to + 1) : [row];
      range.forEach((other) => (box.checked ? picked.add(other.key) : picked.delete(other.key)));
      last = row.key;
      if (event.shiftKey) draw();
      else showBulk();
      table.querySelector(`[data-key="${CSS.escape(row.key)}"] input`)?.focus();
    } });
    box.checked = picked.has(row.key);
    const select = make('select', { class: 'inp', 'aria-label': t('map_row', { name: row.name }), onchange: () => choose([row], select.value, select) });
    options(select, row.choice, t('choose'));
    const share = (100 * row.pixels) / total;
    const swatch = make('span', { class: 'swt', 'data-to': true, 'aria-hidden': 'true' });
    const node = make('tr', { 'data-key': row.key },
      make('td', { class: 'pick' }, make('label', { class: 'chk' }, box)),
      make('td', {}, make('span', { class: 'row' }, make('span', { class: `swt${row.colour ? '' : ' none'}`, 'data-colour': row.colour || null, title: row.colour || null }), make('span', { class: 'tr b src', title: row.name }, row.name))),
      make('td', { class: 'num mono' }, row.value ?? ''),
      make('td', { class: 'num' }, count(row.frames)),
      make('td', { class: 'num' }, count(row.pixels), make('span', { class: 'f pct' }, `${share >= 0.05 || !row.pixels ? share.toFixed(1) : '< 0.1'}\u202f%`)),
      make('td', { class: 'to' }, make('span', { class: 'row' }, swatch, select)),
      make('td', {}, make('span', { class: 'why' })));
    row.node = node;
    show(row);
    return node;
  }

  /** The parts of a row that follow from its choice. */
  function show(row) {
    const open = row.choice === '';
    row.node.classList.toggle('open', open);
    row.node.classList.toggle('off', row.choice === '0');
    const swatch = row.node.querySelector('[data-to]');
    const colour = colourOf(row.choice);
    swatch.classList.toggle('none', !colour);
    if (colour) swatch.dataset.colour = colour;
    row.node.querySelector('select').setAttribute('aria-invalid', String(open));
    row.node.querySelector('.why').replaceChildren(open
      ? make('span', { class: 'chip warn' }, icon('warn', 's'), t('why_none'))
      : make('span', { class: 'm' }, WHY[row.why]?.() ?? ''));
  }

  function choose(some, value, select) {
    const apply = (choice) => {
      for (const row of some) Object.assign(row, { choice, why: choice ? 'you' : '' });
      draw(select?.closest('tr')?.dataset.key);
      onChange();
    };
    if (value !== NEW) {
      apply(value);
      return;
    }
    if (select) select.value = select === bulk ? '' : some[0].choice;
    ask('new-class', ({ name, colour }) => {
      const wanted = name.trim();
      if (!wanted || classes.some((cls) => cls.name === wanted)) throw new Error(t('name_taken'));
      added.set(wanted, { name: wanted, colour: colour.toLowerCase() });
      apply(`n:${wanted}`);
    }, (form) => {
      form.elements.name.value = /^\W|^value|^colour/.test(some[0].name) ? '' : some[0].name;
      form.elements.colour.value = some[0].colour ?? '#888888';
    });
  }

  const sorted = () => [...rows].sort((a, b) => SORTS[sort](a, b) || b.pixels - a.pixels || SORTS.source(a, b));

  function showBulk() {
    byId('map-bulk').hidden = !picked.size;
    byId('map-selected').textContent = t('n_selected', { n: picked.size });
    options(bulk, '', t('map_to'));
    const all = table.querySelector('thead input');
    if (all) {
      all.checked = rows.length > 0 && picked.size === rows.length;
      all.indeterminate = picked.size > 0 && picked.size < rows.length;
    }
  }

  function draw(focus = null) {
    table.replaceChildren(head(), make('tbody', {}, ...sorted().map(line)));
    showBulk();
    if (focus) table.querySelector(`[data-key="${CSS.escape(focus)}"] select`)?.focus();
  }

  bulk.addEventListener('change', () => {
    if (bulk.value) choose(rows.filter((row) => picked.has(row.key)), bulk.value, bulk);
  });

  return {
    load(found) {
      rows = found.map((row) => ({ ...row, choice: row.class_id === null ? '' : row.class_id === 0 ? '0' : `c:${row.class_id}` }));
      [rows, absent] = [rows.filter(occurs), rows.filter((row) => !occurs(row))];
      // A class that the template has lost since is no choice any more.
      for (const row of rows) if (row.choice.startsWith('c:') && !colourOf(row.choice)) Object.assign(row, { choice: '', why: '' });
      total = Math.max(1, rows.reduce((sum, row) => sum + row.pixels, 0));
      for (const cls of classes) added.delete(cls.name);
      picked.clear();
      last = null;
      table.hidden = !rows.length;
      byId('map-empty').replaceChildren(...(rows.length ? [] : [make('div', { class: 'empty' }, make('b', {}, t('no_classes')), make('span', {}, t('no_classes_then')))]),
        ...(absent.length ? [make('p', { class: 'f foot' }, t('absent', { n: absent.length, names: absent.slice(0, 12).map((row) => row.name).join(', ') + (absent.length > 12 ? '…' : '') }))] : []));
      draw();
      onChange();
    },
    get size() { return rows.length; },
    count: (choice) => rows.filter((row) => row.choice === choice).length,
    ignoreRest() {
      choose(rows.filter((row) => row.choice === ''), '0');
      table.querySelector('select')?.focus();
    },
    /** What the API is told: class key → class id (0 = ignore), and the classes to add. */
    answer() {
      const mapping = {};
      const new_classes = {};
      for (const row of absent) mapping[row.key] = row.class_id ?? 0;
      for (const row of rows) {
        if (row.choice.startsWith('n:')) new_classes[row.key] = added.get(row.choice.slice(2));
        else if (row.choice) mapping[row.key] = row.choice === '0' ? 0 : Number(row.choice.slice(2));
      }
      return { mapping, new_classes };
    },
  };
}
