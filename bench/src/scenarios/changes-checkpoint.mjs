// What a checkpoint costs when little has changed since the one before.

import { goal } from '../goal.mjs';
import { inChild } from '../in-child.mjs';
import { pairedRatio, summarize } from '../statistics.mjs';

/** @import { Context, Outcome, Row } from '../scenario.js' */
/** @typedef {{ bytes: number, milliseconds: number }} Measured */

const DURABILITY = 'synced before the checkpoint counts: survives a power cut';
const MIB = 1024 * 1024;

/**
 * `share`: of the aggregates, how many change. `atMost`: share of the first checkpoint that the second may take.
 *
 * @param {Context} context
 * @param {{ accounts: number, share: number, atMost: number }} asked
 * @returns {Promise<Outcome>}
 */
export async function run({ quick, work }, { accounts: wanted, share, atMost }) {
  const accounts = quick ? wanted / 10 : wanted;
  const changed = accounts * share;
  const rounds = quick ? 5 : 9;
  const { first, second } = /** @type {{ first: Measured[], second: Measured[] }} */ (
    await inChild('changes-checkpoint-child.mjs', [`${work}/store`, accounts, changed, rounds])
  );
  const scenario = `checkpoints of ${inWords(accounts)} aggregates, ${inWords(changed)} changed`;
  const limit = atMost * 100;
  const compared = (/** @type {keyof Measured} */ which) =>
    pairedRatio(
      second.map((one) => 100 * one[which]),
      first.map((one) => one[which]),
    );
  /**
   * @param {string} contender
   * @param {readonly Measured[]} measured
   * @returns {Row[]}
   */
  const rows = (contender, measured) => [
    row(`${contender}, time`, 'ms', (one) => one.milliseconds, measured),
    row(`${contender}, size`, 'MiB', (one) => one.bytes / MIB, measured),
  ];
  /**
   * @param {string} contender
   * @param {Row['unit']} unit
   * @param {(one: Measured) => number} figureOf
   * @param {readonly Measured[]} measured
   * @returns {Row}
   */
  const row = (contender, unit, figureOf, measured) => {
    const figures = measured.map(figureOf);
    return { scenario, contender: `cairn, ${contender}`, durability: DURABILITY, unit, figures, ...summarize(figures) };
  };
  const [firstTime, firstSize] = rows('the first checkpoint', first);
  const [secondTime, secondSize] = rows('the second', second);
  const what = `second checkpoint after ${inWords(changed)} of ${inWords(accounts)} aggregates changed, over the first`;
  return {
    rows: [
      firstTime,
      { ...secondTime, goal: goal(`${what}: time`, 'at most', limit, '%', compared('milliseconds')) },
      firstSize,
      { ...secondSize, goal: goal(`${what}: bytes`, 'at most', limit, '%', compared('bytes')) },
    ],
    notes: [
      'From the call of checkpoint() until it resolves: cut, encoded, written, synced, read back and checked, marked in the log, older ones removed; nothing else goes on meanwhile.',
      'The share is taken of the full checkpoint of the same round.',
    ],
  };
}

/** @param {number} number */
function inWords(number) {
  return number.toLocaleString('en-US');
}
