// What openStore says to options that cannot be meant: at once, with what to pass, and before anything is touched.

import { expect } from 'chai';
import { InvalidArgumentError, MemoryDirectory, openStore, type OpenStoreOptions } from 'cairnlog';
import { rejects } from '../support/rejects.js';

describe('openStore', () => {
  const refuses = async (options: unknown, text: string | RegExp): Promise<void> => {
    const { message } = await rejects(openStore(options as OpenStoreOptions), InvalidArgumentError);
    if (typeof text === 'string') expect(message).to.include(text);
    else expect(message).to.match(text);
  };

  for (const value of [0, -1, 1.5, NaN, Infinity, 'abc', null])
    it(`refuses ${String(value)} as its high-water mark`, async () => {
      const dir = new MemoryDirectory();
      await refuses({ dir, highWaterMarkBytes: value }, /^highWaterMarkBytes must be a whole number of bytes from 1/);
      expect(await dir.list('')).to.deep.equal([]);
    });

  it('waits for every entry with the smallest high-water mark that there is', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), highWaterMarkBytes: 1 });
    const event = { type: 'Noted', data: 1 };
    await Promise.all(Array.from({ length: 5 }, () => store.append([{ stream: 's', events: [event] }])));
    expect(store.position).to.equal(5);
    await store.close();
  });
});
