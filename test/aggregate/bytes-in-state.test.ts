import { expect } from 'chai';
import { defineAggregate, MemoryDirectory, openStore, type Event } from 'cairnlog';

const Upload = defineAggregate('upload', {
  initial: { bytes: new Uint8Array(0), at: new Date(0) },
  reduce: {
    Uploaded: (state, { data }: Event<'Uploaded', { bytes: Uint8Array<ArrayBuffer>; at: Date }>) => {
      state.bytes = data.bytes;
      state.at = data.at;
    },
  },
  commands: (upload) => ({
    put: (bytes: Uint8Array<ArrayBuffer>, at: Date) => upload.emit('Uploaded', { bytes, at }),
    // Compiles only if read-only state leaves these two types alone.
    hex: (): string => hex(upload.state.bytes),
    age: (now: Date): number => age(upload.state.at, now),
  }),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const age = (then: Date, now: Date): number => now.getTime() - then.getTime();

describe('aggregate state', () => {
  it('keeps bytes and dates as the types they are, for commands and for everybody else', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Upload] });
    await store.execute(Upload, 'a', (upload) => upload.put(Uint8Array.of(1, 255), new Date(1000)));
    expect((await store.execute(Upload, 'a', (upload) => upload.hex())).result).to.equal('01ff');
    expect((await store.execute(Upload, 'a', (upload) => upload.age(new Date(1500)))).result).to.equal(500);
    const { state } = await store.load(Upload, 'a');
    expect(hex(state.bytes)).to.equal('01ff');
    await store.close();
  });
});
