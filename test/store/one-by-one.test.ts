// What hands out records one by one behaves as the async generator that it stands for.

import { oneByOne } from '#src/store/one-by-one.js';
import { expect } from 'chai';

interface Source {
  readonly batches: AsyncGenerator<readonly number[], void, undefined>;
  readonly log: string[];
}

function source(lists: readonly (readonly number[])[], failure?: Error): Source {
  const log: string[] = [];
  const batches = (async function* () {
    log.push('begun');
    try {
      for (const list of lists) {
        await Promise.resolve();
        yield list;
      }
      if (failure !== undefined) throw failure;
    } finally {
      log.push('ended');
    }
  })();
  return { batches, log };
}

describe('Records one by one', () => {
  it('come in order, over batches of any size', async () => {
    const { batches, log } = source([[1, 2], [], [3], [], [4, 5, 6], []]);
    const found: number[] = [];
    for await (const item of oneByOne(batches)) found.push(item);
    expect(found).to.deep.equal([1, 2, 3, 4, 5, 6]);
    expect(log).to.deep.equal(['begun', 'ended']);
  });

  it('are not read before the first is asked for', async () => {
    const { batches, log } = source([[1]]);
    const items = oneByOne(batches);
    await Promise.resolve();
    expect(log).to.deep.equal([]);
    await items.next();
    expect(log).to.deep.equal(['begun']);
  });

  it('end what is read when the loop is left early', async () => {
    const { batches, log } = source([[1, 2, 3], [4]]);
    const items = oneByOne(batches);
    for await (const item of items) if (item === 2) break;
    expect(log).to.deep.equal(['begun', 'ended']);
    expect(await items.next()).to.deep.equal({ done: true, value: undefined });
  });

  it('end with what went wrong, and stay ended', async () => {
    const { batches } = source([[1]], new Error('the disk'));
    const items = oneByOne(batches);
    expect((await items.next()).value).to.equal(1);
    await items.next().then(
      () => expect.fail('nothing went wrong'),
      (error: Error) => expect(error.message).to.equal('the disk'),
    );
    expect(await items.next()).to.deep.equal({ done: true, value: undefined });
  });

  it('go to those who ask without waiting in the order in which they asked', async () => {
    const { batches } = source([[1, 2], [3], [4, 5]]);
    const items = oneByOne(batches);
    const results = await Promise.all(Array.from({ length: 7 }, () => items.next()));
    expect(results.map(({ value }) => value)).to.deep.equal([1, 2, 3, 4, 5, undefined, undefined]);
  });

  it('end behind what was asked for before', async () => {
    const { batches, log } = source([[1], [2]]);
    const items = oneByOne(batches);
    const [first, ended, after] = await Promise.all([items.next(), items.return(undefined), items.next()]);
    expect(first).to.deep.equal({ done: false, value: 1 });
    expect(ended).to.deep.equal({ done: true, value: undefined });
    expect(after.done).to.equal(true);
    expect(log).to.deep.equal(['begun', 'ended']);
  });

  it('are refused from the moment on in which the check fails, also those that were read already', async () => {
    const { batches, log } = source([[1, 2, 3]]);
    let closed = false;
    const items = oneByOne(batches, () => {
      if (closed) throw new Error('closed');
    });
    await items.next();
    closed = true;
    await items.next().then(
      () => expect.fail('it went on'),
      (error: Error) => expect(error.message).to.equal('closed'),
    );
    expect(log).to.deep.equal(['begun', 'ended']);
    closed = false;
    expect((await items.next()).done).to.equal(true);
  });

  it('let themselves be thrown at and disposed of', async () => {
    const thrown = source([[1, 2]]);
    const items = oneByOne(thrown.batches);
    await items.next();
    await items.throw(new Error('enough')).catch((error: Error) => expect(error.message).to.equal('enough'));
    expect(thrown.log).to.deep.equal(['begun', 'ended']);
    const disposed = source([[1, 2]]);
    const others = oneByOne(disposed.batches);
    await others.next();
    await others[Symbol.asyncDispose]();
    expect(disposed.log).to.deep.equal(['begun', 'ended']);
  });
});
