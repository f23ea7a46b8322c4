// The parts of the benchmarks that figures go through: a mistake there would be believed.

import { expect } from 'chai';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

interface Summary {
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
}
interface Goal extends Summary {
  readonly reached: boolean;
}
interface Statistics {
  summarize(figures: readonly number[]): Summary & { readonly min: number; readonly max: number };
  pairedRatio(figures: readonly number[], others: readonly number[]): Summary;
  growthExponent(points: readonly (readonly [number, number])[]): number;
}
interface Goals {
  goal(what: string, bound: 'at least' | 'at most', limit: number, unit: string, summary: Summary): Goal;
  limitInWords(goal: Goal): string;
  spreadInWords(goal: Goal): string;
  inDigits(figure: number): string;
}
interface Svg {
  drawChart(chart: unknown): string;
}

async function part<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(path.resolve('bench/src', name)).href)) as T;
}

describe('figures of the benchmarks', () => {
  it('take the ratio of each round before the median, as a machine that halts for some rounds says nothing', async () => {
    const { pairedRatio } = await part<Statistics>('statistics.mjs');
    // Twice as fast in each round, while the machine changes its speed by ten in between.
    expect(pairedRatio([200, 20, 200, 20, 20], [100, 10, 100, 10, 10]).median).to.equal(2);
    // One round in which only the other was held up.
    expect(pairedRatio([200, 200, 200], [100, 1, 100]).median).to.equal(2);
    expect(() => pairedRatio([1], [1, 2])).to.throw('round by round');
  });

  it('know their middle and quartiles', async () => {
    const { summarize } = await part<Statistics>('statistics.mjs');
    expect(summarize([5, 1, 4, 2, 3])).to.deep.equal({ median: 3, q1: 2, q3: 4, min: 1, max: 5 });
    expect(summarize([1, 2]).median).to.equal(1.5);
  });

  it('find the power that something grows with', async () => {
    const { growthExponent } = await part<Statistics>('statistics.mjs');
    const grown = (power: number): number =>
      growthExponent([10, 100, 1000].map((size) => [size, 7 * size ** power] as const));
    for (const power of [0, 0.5, 1, 2]) expect(grown(power)).to.be.closeTo(power, 1e-9);
  });

  it('reach a target on its right side only, and never by not being a number', async () => {
    const { goal, limitInWords, spreadInWords } = await part<Goals>('goal.mjs');
    const of = (median: number): Summary => ({ median, q1: median - 1, q3: median + 1 });
    expect(goal('', 'at least', 4, 'x', of(4)).reached).to.equal(true);
    expect(goal('', 'at least', 4, 'x', of(3.9)).reached).to.equal(false);
    expect(goal('', 'at most', 4, 'x', of(4.1)).reached).to.equal(false);
    for (const bound of ['at least', 'at most'] as const)
      expect(goal('', bound, 4, 'x', of(Number.NaN)).reached).to.equal(false);
    expect(limitInWords(goal('', 'at most', 128, 'MiB', of(40)))).to.equal('at most 128 MiB');
    expect(spreadInWords(goal('', 'at least', 2.5, 'x', of(3)))).to.equal('2.00..4.00x');
  });

  it('keep three digits', async () => {
    const { inDigits } = await part<Goals>('goal.mjs');
    expect([1234567, 123.4, 12.34, 1.234, 0.5].map(inDigits)).to.deep.equal([
      '1,234,567',
      '123',
      '12.3',
      '1.23',
      '0.50',
    ]);
  });
});

describe('charts of the benchmarks', () => {
  it('are drawn whatever the figures are, with every name in them escaped', async () => {
    const { drawChart } = await part<Svg>('svg.mjs');
    const bar = { label: 'a < b & c', value: 3, q1: 2, q3: 4, tone: 'own' };
    const panel = {
      title: 'boot',
      xLabel: 'records',
      unit: 'ms',
      theory: 'O(1)',
      mayGrow: 0,
      exponent: 0,
      lastExponent: 0,
      isWithinTheory: true,
    };
    const charts = [
      { kind: 'bars', title: 'one', unit: 'ops/s', bars: [bar, { ...bar, value: 0, q1: 0, q3: 0 }] },
      {
        kind: 'percentiles',
        title: 'two',
        unit: 'ms',
        names: ['p50', 'max'],
        conditions: [{ label: 'a < b & c', values: [0.01, 250] }],
      },
      { kind: 'growth', title: 'a < b & c', panels: [{ ...panel, points: [[10, 5] as const, [100, 5] as const] }] },
    ];
    for (const chart of charts) {
      const svg = drawChart(chart);
      expect(svg).to.match(/^<svg .*<\/svg>\n$/s);
      expect(svg).to.include('a &lt; b &amp; c');
      expect(svg).to.not.match(/NaN|Infinity|undefined/);
    }
  });
});
