// Figures of several rounds: their middle and spread, what two contenders' figures of the same rounds come to, and how
// fast something grows.

/** @typedef {{ median: number, q1: number, q3: number, min: number, max: number }} Summary */

/**
 * Median, quartiles (between them lies half of the figures) and extremes.
 *
 * @param {readonly number[]} figures
 * @returns {Summary}
 */
export function summarize(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/**
 * Of sorted figures; between two of them it lies on the line.
 *
 * @param {readonly number[]} sorted
 * @param {number} share
 */
export function quantile(sorted, share) {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/**
 * What the figures of one come to over those of another, round by round: both were measured within seconds of each other,
 * so what the machine does meanwhile hardly matters, while between rounds it may be twice as fast. The median of these is
 * not the ratio of the medians.
 *
 * @param {readonly number[]} figures
 * @param {readonly number[]} others Of the same rounds.
 * @returns {Summary}
 */
export function pairedRatio(figures, others) {
  if (figures.length !== others.length) throw new Error('Ratios are taken round by round');
  return summarize(figures.map((figure, round) => figure / others[round]));
}

/**
 * The k for which y grows as x to the power of k, by least squares of the logarithms: 0 is constant, 1 is linear.
 *
 * @param {readonly (readonly [x: number, y: number])[]} points
 */
export function growthExponent(points) {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)]);
  const meanX = mean(logs.map(([x]) => x));
  const meanY = mean(logs.map(([, y]) => y));
  let above = 0;
  let below = 0;
  for (const [x, y] of logs) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return above / below;
}

/** @param {readonly number[]} figures */
function mean(figures) {
  return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
}
