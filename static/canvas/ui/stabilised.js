/** Figures of a stabilise job as rows of tables, and how far it is as a sentence. */
import { el, swatch } from '../dom.js';
import { trackedBy } from '../tracks.js';

const MOST = 12;
const number = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));

/** 'Smoothing: frame 12 of 60 · 34 % · about 8 s left' */
export function progressOf(job, t) {
  if (job.state === 'waiting') return t('stab.waits');
  if (!job.total) return t('stab.begins');
  const left = job.eta_s;
  return [job.message, t('stab.percent', { percent: Math.floor((100 * job.done) / job.total) }),
    left > 0 && (left < 90 ? t('stab.left_s', { n: Math.ceil(left) }) : t('stab.left_min', { n: Math.round(left / 60) }))].filter(Boolean).join(' · ');
}

function verdict(percent, t) {
  if (percent === null || percent === undefined) return '';
  const rounded = Math.round(percent);
  if (!rounded) return t('stab.same');
  return t(rounded > 0 ? 'stab.better' : 'stab.worse', { percent: Math.abs(rounded) });
}

const head = (t, last) => el('thead', {}, el('tr', {}, el('th', {}), el('th', { class: 'num', scope: 'col' }, t('stab.before')), el('th', { class: 'num', scope: 'col' }, t('stab.after')), last));

export function figureRows({ before, after, improvement_percent: percent, truth, changed, frames }, isApplied, t) {
  const row = (label, title, from, to) => el('tr', {}, el('th', { scope: 'row', title: t(title) }, t(label)), el('td', { class: 'num' }, number(from)), el('td', { class: 'num' }, el('b', {}, number(to))));
  const rounded = Math.round(percent ?? 0);
  return [
    el('caption', { class: 'sr' }, t('stab.figures')), head(t, null),
    el('tbody', {},
      row('stab.instability', 'stab.instability_title', before.warped_instability, after.warped_instability),
      row('stab.iou', 'stab.iou_title', before.iou, after.iou),
      ...(truth ? [row('stab.truth', 'stab.truth_title', truth.before, truth.after)] : [])),
    el('tfoot', {}, el('tr', {}, el('td', { colspan: '3' }, el('span', { class: rounded > 0 ? 'okc b' : rounded < 0 ? 'warnc b' : 'm' }, verdict(percent, t)), isApplied ? null : el('span', { class: 'm' }, ` · ${t('stab.changed', { n: changed, frames })}`)))),
  ];
}

/** What changed most first. */
export function layerRows(layers, { classes, lanes }, t) {
  const nameOf = ({ class_id: id, track_id: track }) => {
    const name = classes.get(id)?.name ?? t('canvas.unlabelled');
    if (track) return trackedBy(lanes, track)?.name ?? name;
    return lanes?.classes.some((lane) => lane.class_id === id && lane.tracks.length) ? t('stab.loose', { name }) : name;
  };
  const gain = ({ before, after }) => (before.warped_instability ?? 0) - (after.warped_instability ?? 0);
  const rows = layers.filter(({ before }) => before.warped_instability !== null).sort((a, b) => Math.abs(gain(b)) - Math.abs(gain(a)));
  return [...rows.slice(0, MOST).map((layer) => el('tr', {},
    el('th', { scope: 'row' }, swatch(classes.get(layer.class_id)?.colour ?? '#888888'), el('span', { class: 'tr', title: nameOf(layer) }, nameOf(layer))),
    el('td', { class: 'num' }, number(layer.before.warped_instability)), el('td', { class: 'num' }, el('b', {}, number(layer.after.warped_instability))))),
  ...(rows.length > MOST ? [el('tr', {}, el('td', { class: 'f', colspan: '3' }, t('stab.layer_more', { n: rows.length - MOST })))] : [])];
}
