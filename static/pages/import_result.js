/** What an import came to: figures, the regions worst first, each beside its original mask, and taking it all back. */
import { parseRegionMap } from '../canvas/labelmap.js';
import { api, count, icon, make, problem, register, seconds, t } from '../app.js';
import { countDifference, cropOf, decodeRle, paintView, seenMask } from './compare.js';

const byId = (id) => document.getElementById(id);
const PAGE = 100;
const KEPT_FRAMES = 6;
const three = (value) => value.toFixed(3);

/** `data`: the page's island. */
export function createResult(data) {
  const list = byId('worst');
  let report = null;
  let target = 0.95;
  let classes = new Map();
  let rows = [];
  let total = 0;
  let chosen = -1;
  let turn = 0;
  let shown = null;
  const frames = new Map();

  const nameOf = (row) => classes.get(row.class_id)?.name ?? String(row.class_id);
  const colourOf = (row) => classes.get(row.class_id)?.colour ?? '#888888';
  const assetOf = (row) => data.assets.find((asset) => asset.id === row.asset_id);
  const certificate = (row) => {
    const [tone, glyph] = row.iou >= target ? ['ok', 'shok'] : row.iou >= 0.9 ? ['warn', 'shwarn'] : ['err', 'shx'];
    return make('span', { class: `cert ${tone}`, title: row.exact ? t('from_outline') : t('from_points') }, row.exact ? icon('outl', 's') : null, icon(glyph, 's'), three(row.iou));
  };

  /** `wanted`: the IoU that certificates had to reach. */
  async function show(found, wanted) {
    [report, target] = [found, wanted];
    const rules = await api('GET', `/class-templates/${data.class_template_id}`);
    classes = new Map(rules.classes.map((cls) => [cls.id, cls]));
    showFigures();
    rows = [];
    chosen = -1;
    list.replaceChildren();
    byId('compare').hidden = true;
    const hidden = report.keep === 'truth';
    if (!report.undone && !hidden) await load();
    document.querySelector('.gt-worst').hidden = hidden || Boolean(report.undone);
    document.querySelector('.gt-res').hidden = Boolean(report.undone);
    byId('gt-hidden').hidden = byId('gt-scores').hidden = !hidden;
    byId('gt-undo').hidden = Boolean(report.undone) || !report.edit_id;
  }

  function showFigures() {
    const { certificates: all } = report;
    byId('gt-sum').replaceChildren(report.undone ? make('span', { class: 'chip' }, icon('undo', 's'), t('undone')) : make('span', { class: 'chip ok' }, icon('check', 's'), t(report.kept ? 'kept' : 'done')),
      make('span', { class: 'm' }, report.undone ? t('undone_text', { source: report.source }) : t('done_text', { source: report.source, time: seconds(report.seconds, 1) })),
      report.dropped?.pieces ? make('span', { class: 'm' }, t('dropped', { n: count(report.dropped.pieces), count: report.dropped.pieces, px: count(report.dropped.pixels) })) : '');
    const tile = (label, value, help = '', tone = '', glyph = '') => make('li', { class: `tile card${tone ? ` ${tone}` : ''}` },
      make('span', { class: `row${tone ? ` ${tone}c` : ''}` }, glyph ? icon(glyph) : null, make('b', { class: 't5' }, value)), make('span', { class: 'b' }, label), make('span', { class: 'f t1' }, help));
    if (report.kept) {
      const { frames: n, objects, pixels, void: none } = report.kept;
      byId('gt-results').replaceChildren(
        tile(t('kept_frames'), count(n)), tile(t('kept_pixels'), count(pixels)),
        tile(t('kept_void'), count(none), none ? t('kept_void_help') : ''), ...(objects ? [tile(t('kept_objects'), count(objects), t('kept_objects_help'))] : []));
      byId('gt-hist').hidden = true;
      return;
    }
    const below = all.below_target;
    byId('gt-results').replaceChildren(
      tile(t('regions'), count(report.regions)),
      tile(t('points'), count(report.points), report.regions ? t('points_help', { n: (report.points / report.regions).toFixed(1) }) : ''),
      tile(t('outlines'), count(report.outlines), report.outlines ? t('outlines_help') : ''),
      ...(all.count ? [
        tile(t('mean_iou'), three(all.mean_iou)), tile(t('min_iou'), three(all.min_iou)),
        tile(t('below'), count(below), below ? '' : t('below_none'), below ? 'warn' : 'ok', below ? 'shwarn' : 'shok'),
      ] : []));
    const bins = all.histogram ?? [];
    const most = Math.max(1, ...bins);
    // Empty bins below the lowest filled one say nothing.
    const first = Math.min(bins.findIndex((n) => n > 0), bins.length - 4);
    byId('gt-hist').hidden = !all.count || first < 0;
    byId('gt-bars').replaceChildren(...bins.map((n, i) => {
      const [from, to] = [i / bins.length, (i + 1) / bins.length].map((value) => value.toFixed(2));
      return make('li', { title: t('bin', { from, to, n: count(n) }) }, make('span', { class: 'n' }, n ? count(n) : ''), make('i', { 'data-pct': n ? Math.max(2, (100 * n) / most) : 0 }), make('span', { class: 'f' }, from));
    }).slice(Math.max(0, first)));
  }

  async function load() {
    const found = await api('GET', `/imports/${report.job_id}/regions?start=${rows.length}&limit=${PAGE}`);
    ({ total } = found);
    const from = rows.length;
    // A frame's id is that of its asset, then its number.
    rows.push(...found.rows.map((row) => ({ ...row, asset_id: row.frame_id.slice(0, 24), index: Number(row.frame_id.slice(25)) })));
    list.append(...rows.slice(from).map((row, i) => make('li', { role: 'option', id: `worst-${from + i}`, 'data-at': from + i, 'aria-selected': 'false' },
      make('span', { class: 'swt', 'data-colour': colourOf(row), 'aria-hidden': 'true' }), make('span', { class: 'tr grow' }, nameOf(row)),
      make('span', { class: 'f t1 nw' }, t('row_frame', { n: count(row.index + 1) })), certificate(row))));
    byId('worst-count').textContent = total ? t('worst_n', { n: count(total), count: total }) : '';
    byId('worst-more').hidden = rows.length >= total;
    if (!total) list.replaceChildren(make('li', { class: 'm none', role: 'option', 'aria-selected': 'false' }, t('worst_none')));
    else if (chosen < 0) await select(0, { focus: false });
  }
  register('gt-more', load);

  // ---- the list
  async function select(at, { focus = true } = {}) {
    if (at >= rows.length && rows.length < total) await load();
    if (at < 0 || at >= rows.length) return;
    list.querySelector('[aria-selected=true]')?.setAttribute('aria-selected', 'false');
    chosen = at;
    const item = byId(`worst-${at}`);
    item.setAttribute('aria-selected', 'true');
    list.setAttribute('aria-activedescendant', item.id);
    item.scrollIntoView({ block: 'nearest' });
    if (focus) list.focus({ preventScroll: true });
    await compare(rows[at]);
  }
  list.addEventListener('click', (event) => {
    const item = event.target.closest('[data-at]');
    if (item) select(Number(item.dataset.at));
  });
  register('cmp-step', (button) => select(chosen + Number(button.dataset.by), { focus: false }));
  document.addEventListener('keydown', (event) => {
    if (byId('step-result').hidden || byId('gt-done').hidden || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea, dialog')) return;
    const inList = event.target === list;
    const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, ...(inList ? { ArrowUp: chosen - 1, ArrowDown: chosen + 1, Home: 0, End: rows.length - 1, PageUp: Math.max(0, chosen - 10), PageDown: Math.min(rows.length - 1, chosen + 10) } : {}) }[event.key];
    if (to === undefined || !rows.length) return;
    event.preventDefault();
    select(to, { focus: inList });
  });

  // ---- beside the original
  async function fetchOr(address, what) {
    const answer = await fetch(`/api/v1${address}`);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || t('failed'));
    return answer[what]();
  }
  /** Picture, region map and regions of a frame; the last few are kept, for the list often stays on one. */
  function frameOf(id) {
    if (!frames.has(id)) {
      const mine = Promise.all([
        fetchOr(`/frames/${id}/image`, 'blob').then((blob) => createImageBitmap(blob)),
        fetchOr(`/frames/${id}/region-map`, 'arrayBuffer').then(parseRegionMap),
        fetchOr(`/frames/${id}`, 'json'),
      ]);
      mine.catch(() => frames.delete(id));
      frames.set(id, mine);
      if (frames.size > KEPT_FRAMES) frames.delete(frames.keys().next().value);
    }
    return frames.get(id);
  }

  async function compare(row) {
    const mine = turn += 1;
    byId('compare').hidden = false;
    const asset = assetOf(row);
    byId('cmp-swatch').dataset.colour = colourOf(row);
    byId('cmp-name').textContent = nameOf(row);
    byId('cmp-facts').textContent = t('facts', { asset: asset?.name ?? '', n: count(row.index + 1), iou: three(row.iou), f: three(row.boundary_f) });
    byId('cmp-open').href = `/workspace/${data.project}?asset=${row.asset_id}&frame=${row.index + 1}&region=${row.region_id}`;
    try {
      const [source, [bitmap, map, view]] = await Promise.all([api('GET', `/imports/${report.job_id}/regions/${row.region_id}/source`), frameOf(row.frame_id)]);
      if (mine !== turn) return;
      const original = decodeRle(source).bits;
      const region = view.regions.find((one) => one.id === row.region_id);
      shown = { bitmap, width: map.width, height: map.height, original, seen: seenMask(map, row.region_id), colour: colourOf(row), points: region?.geometry.points ?? [] };
      shown.difference = countDifference(original, shown.seen, map.ids);
      shown.gone = !region;
      paint();
    } catch (error) {
      if (mine === turn) byId('cmp-note').textContent = error.message;
    }
  }

  function paint() {
    if (!shown || byId('compare').hidden) return;
    const { bitmap, width, height, original, seen, colour, points, difference: d } = shown;
    const crop = byId('cmp-whole').checked ? { x: 0, y: 0, w: width, h: height } : cropOf(width, height, original, seen);
    const common = { bitmap, width, crop, colour };
    paintView(byId('cmp-original'), { ...common, a: original });
    paintView(byId('cmp-region'), { ...common, a: seen, points });
    paintView(byId('cmp-difference'), { ...common, a: original, b: seen });
    byId('cmp-original-px').textContent = t('px', { n: count(d.original) });
    byId('cmp-region-px').textContent = t('px', { n: count(d.region) });
    byId('cmp-missed').textContent = t('missed', { n: count(d.missed) });
    byId('cmp-spilled').textContent = t('spilled', { n: count(d.spilled) });
    byId('cmp-difference').setAttribute('aria-label', `${t('missed', { n: count(d.missed) })}, ${t('spilled', { n: count(d.spilled) })}`);
    byId('cmp-note').textContent = shown.gone ? t('gone') : !d.missed && !d.spilled ? t('same')
      : [t('shown_iou', { iou: three(d.iou) }), d.taken ? t('taken', { n: count(d.taken) }) : ''].filter(Boolean).join(' ');
  }
  byId('cmp-whole').addEventListener('change', paint);
  new ResizeObserver(paint).observe(document.querySelector('.cmp-views'));

  // ---- taking it back
  register('gt-undo', async () => {
    const slot = byId('gt-problem');
    slot.replaceChildren();
    const now = await api('GET', `/imports/${report.job_id}`);
    if (!now.last_edit && !now.undone) {
      slot.replaceChildren(problem(t('undo_not_last'), '', 'info'));
      return;
    }
    const told = now.undone ? null : await api('POST', `/projects/${data.project}/undo`);
    frames.clear();
    await show({ ...now, undone: true }, target);
    if (told) slot.replaceChildren(problem(told.what, '', 'info'));
    byId('gt-body').scrollTop = 0;
  });

  return { show };
}
