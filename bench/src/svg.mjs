// Draws the charts of the report: plain SVG, readable on light and dark pages.

import { inDigits } from './goal.mjs';

/** @import { BarChart, Chart, GrowthChart, GrowthPanel, PercentileChart } from './chart.js' */

const WIDTH = 860;
const MARGIN = 24;
const TITLE = 44;
const INK = '#1f2328';
const FAINT = '#59636e';
const LINE = '#d1d9e0';
const TONES = { own: '#0b7a53', peer: '#4f76a8', shown: '#b8c0c9' };
const DOTS = ['#0b7a53', '#4f76a8', '#c9822b', '#b3403a'];

/** @param {Chart} chart */
export function drawChart(chart) {
  switch (chart.kind) {
    case 'bars':
      return drawBars(chart);
    case 'percentiles':
      return drawPercentiles(chart);
    case 'growth':
      return drawGrowth(chart);
  }
}

/** @param {BarChart} chart */
function drawBars({ title, caption, unit, bars }) {
  const row = 30;
  const left = MARGIN + 8 + 7 * Math.max(...bars.map(({ label }) => label.length));
  const right = WIDTH - MARGIN - 130;
  const most = Math.max(...bars.flatMap(({ value, q3 }) => [value, q3])) || 1;
  const x = (/** @type {number} */ value) => left + (value / most) * (right - left);
  const parts = bars.map(({ label, value, q1, q3, tone }, index) => {
    const top = TITLE + 12 + index * row;
    const middle = top + row / 2;
    return [
      text(left - 8, middle + 4, label, { anchor: 'end', bold: tone === 'own' }),
      `<rect x="${left}" y="${top + 5}" width="${round(Math.max(1, x(value) - left))}" height="${row - 10}" rx="2" fill="${TONES[tone]}"/>`,
      line(x(q1), middle, x(q3), middle, INK, 2),
      line(x(q1), middle - 5, x(q1), middle + 5, INK, 2),
      line(x(q3), middle - 5, x(q3), middle + 5, INK, 2),
      text(Math.max(x(value), x(q3)) + 8, middle + 4, `${inDigits(value)} ${unit}`, { bold: tone === 'own' }),
    ].join('');
  });
  return frame(title, TITLE + 20 + bars.length * row, parts.join(''), caption);
}

/** @param {PercentileChart} chart */
function drawPercentiles({ title, caption, unit, names, conditions }) {
  const row = 38;
  const left = MARGIN + 8 + 7 * Math.max(...conditions.map(({ label }) => label.length));
  const right = WIDTH - MARGIN - 12;
  const values = conditions.flatMap((condition) => condition.values).filter((value) => value > 0);
  const scale = logScale(values, left, right);
  const top = TITLE + 26;
  const bottom = top + conditions.length * row;
  const grid = scale.ticks.map(
    (tick) =>
      line(scale.at(tick), top, scale.at(tick), bottom, LINE) +
      text(scale.at(tick), bottom + 16, `${short(tick)} ${unit}`, { anchor: 'middle', small: true }),
  );
  const legend = names.map((name, index) => {
    const at = left + index * 90;
    return dot(at, TITLE + 10, DOTS[index % DOTS.length]) + text(at + 10, TITLE + 14, name, { small: true });
  });
  const rows = conditions.map((condition, index) => {
    const middle = top + index * row + row / 2;
    const shown = condition.values.map((value) => scale.at(Math.max(value, scale.least)));
    return (
      text(left - 10, middle + 4, condition.label, { anchor: 'end' }) +
      line(Math.min(...shown), middle, Math.max(...shown), middle, FAINT, 1.5) +
      shown.map((at, which) => dot(at, middle, DOTS[which % DOTS.length])).join('') +
      condition.values
        .map((value, which) =>
          // Where two stand close together only the last one's number has room.
          which + 1 < shown.length && shown[which + 1] - shown[which] < 34
            ? ''
            : text(shown[which], middle - 8, inDigits(value), { anchor: 'middle', small: true }),
        )
        .join('')
    );
  });
  return frame(title, bottom + 28, [...grid, ...legend, ...rows].join(''), caption);
}

/** @param {GrowthChart} chart */
function drawGrowth({ title, caption, panels }) {
  const columns = 2;
  const width = (WIDTH - 2 * MARGIN - 28) / columns;
  const height = 292;
  const parts = panels.map((panel, index) =>
    drawPanel(
      panel,
      MARGIN + (index % columns) * (width + 28),
      TITLE + 8 + Math.floor(index / columns) * height,
      width,
      height,
      `clip-${index}`,
    ),
  );
  return frame(title, TITLE + 8 + Math.ceil(panels.length / columns) * height, parts.join(''), caption);
}

/**
 * @param {GrowthPanel} panel
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {string} clip
 */
function drawPanel(panel, x, y, width, height, clip) {
  const { points, mayGrow, unit } = panel;
  const [left, right, top, bottom] = [x + 58, x + width - 8, y + 30, y + height - 82];
  const across = logScale(
    points.map(([size]) => size),
    left,
    right,
  );
  const values = points.map(([, value]) => value);
  // At least a decade, so that what is flat looks flat.
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const more = Math.sqrt(Math.max(1, 10 / (high / low)));
  const up = logScale([low / more, high * more], bottom, top);
  const [firstX, firstY] = points[0];
  const [lastX] = points[points.length - 1];
  const theory = line(
    across.at(firstX),
    up.at(firstY),
    across.at(lastX),
    up.at(firstY * (lastX / firstX) ** mayGrow),
    DOTS[2],
    1.5,
    '5 4',
  );
  const path = points.map(([size, value]) => `${round(across.at(size))},${round(up.at(value))}`).join(' ');
  const verdict = panel.isWithinTheory ? 'within theory' : 'faster than theory';
  return [
    text(x, y + 16, panel.title, { bold: true }),
    `<clipPath id="${clip}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/></clipPath>`,
    ...across.ticks.map(
      (tick) =>
        line(across.at(tick), top, across.at(tick), bottom, LINE) +
        text(across.at(tick), bottom + 15, short(tick), { anchor: 'middle', small: true }),
    ),
    ...up.ticks.map(
      (tick) =>
        line(left, up.at(tick), right, up.at(tick), LINE) +
        text(left - 6, up.at(tick) + 4, `${short(tick)} ${unit}`, { anchor: 'end', small: true }),
    ),
    text((left + right) / 2, bottom + 30, panel.xLabel, { anchor: 'middle', small: true }),
    `<g clip-path="url(#${clip})">${theory}</g>`,
    `<polyline points="${path}" fill="none" stroke="${DOTS[0]}" stroke-width="2"/>`,
    ...points.map(([size, value]) => dot(across.at(size), up.at(value), DOTS[0])),
    ...points.map(([size, value]) =>
      text(across.at(size), up.at(value) - 8, inDigits(value), {
        anchor: edge(size, firstX, lastX),
        small: true,
        halo: true,
      }),
    ),
    text(x, y + height - 34, `- - theory: ${panel.theory}`, { small: true, color: '#8a5a1e' }),
    text(
      x,
      y + height - 19,
      `measured: grows as n^${panel.exponent.toFixed(2)}, at the end n^${panel.lastExponent.toFixed(2)}: ${verdict}`,
      { small: true, color: panel.isWithinTheory ? DOTS[0] : DOTS[3], bold: !panel.isWithinTheory },
    ),
  ].join('');
}

/** @param {number} size @param {number} first @param {number} last */
function edge(size, first, last) {
  if (size === first) return 'start';
  return size === last ? 'end' : 'middle';
}

/**
 * A logarithmic scale over whole decades, or over 1, 2, 5 where there is less than one.
 *
 * @param {readonly number[]} values
 * @param {number} from
 * @param {number} to
 */
function logScale(values, from, to) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const steps = high / low > 50 ? [1] : [1, 2, 5];
  /** @type {number[]} */
  const ticks = [];
  for (let decade = Math.floor(Math.log10(low)) - 1; decade <= Math.ceil(Math.log10(high)) + 1; decade++)
    for (const step of steps) ticks.push(step * 10 ** decade);
  const least = ticks.findLast((tick) => tick <= low * 1.0001) ?? low;
  const next = ticks.find((tick) => tick >= high * 0.9999) ?? high;
  const most = next > least ? next : (ticks.find((tick) => tick > least) ?? 10 * least);
  const span = Math.log(most / least);
  return {
    least,
    ticks: ticks.filter((tick) => tick >= least * 0.9999 && tick <= most * 1.0001),
    at: (/** @type {number} */ value) => from + (Math.log(value / least) / span) * (to - from),
  };
}

/**
 * @param {string} title
 * @param {number} height
 * @param {string} content
 * @param {string | undefined} caption
 */
function frame(title, height, content, caption) {
  const total = height + (caption === undefined ? 12 : 34);
  const foot = caption === undefined ? '' : text(MARGIN, height + 18, caption, { small: true, color: FAINT });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" width="${WIDTH}" height="${total}" ` +
    `font-family="ui-sans-serif, system-ui, Helvetica, Arial, sans-serif" font-size="13" role="img">` +
    `<title>${escape(title)}</title>` +
    `<rect width="${WIDTH}" height="${total}" rx="8" fill="#ffffff"/>` +
    text(MARGIN, 28, title, { bold: true, size: 16 }) +
    content +
    `${foot}</svg>\n`
  );
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {{ anchor?: string, bold?: boolean, small?: boolean, halo?: boolean, size?: number, color?: string }} [style]
 */
function text(x, y, content, { anchor = 'start', bold = false, small = false, halo = false, size, color = INK } = {}) {
  const attributes = [
    `x="${round(x)}" y="${round(y)}" fill="${color}"`,
    anchor === 'start' ? '' : `text-anchor="${anchor}"`,
    bold ? 'font-weight="600"' : '',
    // Legible on lines.
    halo ? 'stroke="#ffffff" stroke-width="3" paint-order="stroke"' : '',
    size !== undefined ? `font-size="${size}"` : small ? 'font-size="11"' : '',
  ];
  return `<text ${attributes.filter(Boolean).join(' ')}>${escape(content)}</text>`;
}

/**
 * @param {number} x1
 * @param {number} y1
 * @param {number} x2
 * @param {number} y2
 * @param {string} color
 * @param {number} [width]
 * @param {string} [dashes]
 */
function line(x1, y1, x2, y2, color, width = 1, dashes) {
  const style = dashes === undefined ? '' : ` stroke-dasharray="${dashes}"`;
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${color}" stroke-width="${width}"${style}/>`;
}

/** @param {number} x @param {number} y @param {string} color */
function dot(x, y, color) {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="4" fill="${color}"/>`;
}

/** @param {number} value */
function short(value) {
  if (value >= 1e6) return `${value / 1e6}M`;
  if (value >= 1e3) return `${value / 1e3}k`;
  return String(Number(value.toPrecision(2)));
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** @param {string} content */
function escape(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
