// Something that is asked for, beside what was reached.

/** @import { Goal } from './scenario.js' */
/** @import { Summary } from './statistics.mjs' */

/**
 * @param {string} what
 * @param {Goal['bound']} bound
 * @param {number} limit
 * @param {Goal['unit']} unit
 * @param {Summary} summary
 * @returns {Goal}
 */
export function goal(what, bound, limit, unit, { median: value, q1, q3 }) {
  // Whatever is not a number was not reached.
  const reached = bound === 'at least' ? value >= limit : value <= limit;
  return { what, bound, limit, unit, value, q1, q3, reached };
}

/** @param {Goal} goal */
export function limitInWords({ bound, limit, unit }) {
  return `${bound} ${withUnit(unit, String(limit))}`;
}

/** @param {Goal} goal */
export function valueInWords({ value, unit }) {
  return withUnit(unit, inDigits(value));
}

/** @param {Goal} goal */
export function spreadInWords({ q1, q3, unit }) {
  return withUnit(unit, `${inDigits(q1)}..${inDigits(q3)}`);
}

/** Three digits that count. @param {number} figure */
export function inDigits(figure) {
  if (!Number.isFinite(figure)) return String(figure);
  if (Math.abs(figure) >= 100) return Math.round(figure).toLocaleString('en-US');
  return figure.toFixed(Math.abs(figure) >= 10 ? 1 : 2);
}

/** @param {Goal['unit']} unit @param {string} figure */
function withUnit(unit, figure) {
  if (unit === 'power') return `n^${figure}`;
  return unit === 'MiB' ? `${figure} MiB` : `${figure}${unit}`;
}
