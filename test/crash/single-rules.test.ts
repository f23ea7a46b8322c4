// Rules that one small case each shows, and that would be broken unseen otherwise.

import { openStore, WalReader, WalWriter } from 'cairnlog';
import { loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import { HeldDirectory } from '../support/held-directory.js';
import { Notes } from '../support/scripted-store.js';
import { textCodec as codec } from '../support/text-codec.js';

describe('What is appended', () => {
  it('does not change while it waits for the disk, whatever is appended meanwhile', async () => {
    const disk = new SimulatedDisk();
    const held = new HeldDirectory(disk);
    const wal = await WalWriter.open(held, { codec });
    held.holds.add('write');
    const waiting = [wal.appendDurable('the first, on its way to the disk')];
    await held.blocked();
    waiting.push(wal.appendDurable('THE SECOND, IN ANOTHER BUFFER, AND LONGER'));
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    held.releaseAll();
    expect(await Promise.all(waiting)).to.deep.equal([1, 2]);
    const records = await new WalReader(disk.afterPowerCut(loseEverything), { codec }).replay();
    expect(records.map(({ entry }) => entry)).to.deep.equal([
      'the first, on its way to the disk',
      'THE SECOND, IN ANOTHER BUFFER, AND LONGER',
    ]);
    await wal.close();
  });

  it('does not change when its caller changes it afterwards', async () => {
    const disk = new SimulatedDisk();
    const store = await openStore({ dir: disk, aggregates: [Notes] });
    const shown: unknown[] = [];
    store.records$.subscribe(({ data }) => shown.push(data));
    const data = { text: 'as it was' };
    const appended = store.append([{ stream: 'notes-a', events: [{ type: 'Noted', data }] }]);
    data.text = 'changed';
    await appended;
    expect(shown).to.deep.equal([{ text: 'as it was' }]);
    await store.close();
    const again = await openStore({ dir: disk, aggregates: [Notes] });
    expect((await again.load(Notes, 'a')).state.texts).to.deep.equal(['as it was']);
    await again.close();
  });
});

describe('What lay on the disk before', () => {
  it('is not taken for entries: frames of an earlier log whose blocks are used again', async () => {
    const texts = Array.from({ length: 40 }, (_, index) => `entry ${String(index).padStart(20, '.')}`);
    const earlier = new SimulatedDisk();
    const first = await WalWriter.open(earlier, { codec });
    for (const text of texts) first.append(text);
    await first.close();
    const old = earlier.peek('wal/wal_1.log')!;

    const disk = new SimulatedDisk();
    const second = await WalWriter.open(disk, { codec });
    for (const text of texts.slice(0, 11)) second.append(text);
    await second.flushAndSync();
    for (const text of texts.slice(11)) second.append(text.toUpperCase());
    await second.flush();
    // The file has grown, none of the new bytes arrived, and what its blocks hold is what the earlier log left in them.
    const left = disk.afterPowerCut({
      page: (_, page) => (page === 0 ? 'old' : 'garbage'),
      size: () => true,
      name: () => true,
      garbage: (_, offset) => old.subarray(offset),
    });
    expect(left.peek('wal/wal_1.log')!.length).to.be.greaterThan(1024);
    const third = await WalWriter.open(left, { codec });
    const records = await new WalReader(left, { codec }).replay();
    expect(records.map(({ entry }) => entry)).to.deep.equal(texts.slice(0, 11));
    await third.close();
    await second.close();
  });
});
