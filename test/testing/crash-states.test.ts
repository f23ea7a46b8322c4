// The states that a crash may leave: all of them where there are few, each once, and none that no disk would leave.

import { crashStates, SimulatedDisk, type CrashState, type CrashStatesOptions } from 'cairnlog/testing';
import { expect } from 'chai';

const bytes = (value: string): Uint8Array => Buffer.from(value);

function contents(states: Iterable<CrashState>, path: string): (string | undefined)[] {
  return [...states].map(({ disk }) => {
    const found = disk.peek(path);
    return found === undefined ? undefined : Buffer.from(found).toString('latin1');
  });
}

async function fileOf(disk: SimulatedDisk, path: string, value: string) {
  const file = await disk.open(path, 'create');
  await file.write(bytes(value), 0);
  return file;
}

describe('The states that a crash may leave', () => {
  it('of a disk on which everything is synced are one', async () => {
    const disk = new SimulatedDisk();
    const file = await fileOf(disk, 'a', 'value');
    await file.datasync();
    await disk.syncDirectory('');
    expect(contents(crashStates(disk), 'a')).to.deep.equal(['value']);
  });

  it('of a small new file: none, empty, zeros, garbage, whole', async () => {
    const disk = new SimulatedDisk();
    await fileOf(disk, 'a', 'abc');
    const found = contents(crashStates(disk), 'a');
    expect(found).to.have.lengthOf(5);
    expect(found).to.include.members([undefined, '', '\0\0\0', 'abc']);
  });

  it('combine what happened to names with what happened to data', async () => {
    const disk = new SimulatedDisk();
    await (await fileOf(disk, 'a', 'old')).datasync();
    await disk.syncDirectory('');
    await fileOf(disk, 'b', 'new');
    await disk.rename('b', 'a');
    const names = new Set([...crashStates(disk)].map((state) => state.disk.files().join()));
    expect([...names].sort()).to.deep.equal(['a', 'a,b']);
    const found = contents(crashStates(disk), 'a');
    expect(found).to.include.members(['old', 'new', '']);
  });

  it('never lose bytes that a sector had before', async () => {
    const disk = new SimulatedDisk();
    const file = await fileOf(disk, 'a', 'durable ');
    await file.datasync();
    await disk.syncDirectory('');
    await file.write(bytes('x'.repeat(2000)), 8);
    for (const found of contents(crashStates(disk, { draws: 200 }), 'a'))
      expect(found!.slice(0, 8)).to.equal('durable ');
    // Also not with a page of which only another sector was written to.
    await file.datasync();
    await file.write(bytes('y'.repeat(600)), 2600);
    for (const found of contents(crashStates(disk), 'a')) expect(found!.slice(0, 9)).to.equal('durable x');
  });

  it('cut the write that is under way at every byte', async () => {
    const disk = new SimulatedDisk();
    const file = await fileOf(disk, 'a', 'begin ');
    await file.datasync();
    await disk.syncDirectory('');
    const options: CrashStatesOptions = { write: { path: 'a', offset: 6, bytes: bytes('a whole frame') } };
    const found = contents(crashStates(disk, options), 'a');
    for (let count = 0; count <= 13; count++) expect(found).to.include('begin a whole frame'.slice(0, 6 + count));
    expect(found).to.have.lengthOf(14);
  });

  it('of which there are too many are chosen: all up to one, all but one, only one, and draws', async () => {
    const disk = new SimulatedDisk();
    await fileOf(disk, 'a', 'x'.repeat(20 * 512));
    await disk.syncDirectory('');
    const kept = (found: string): string => found.replace(/[^x]{512}/g, '-').replace(/x{512}/g, '+');
    const found = new Set(contents(crashStates(disk, { draws: 100 }), 'a').map((value) => kept(value!)));
    const all = '+'.repeat(20);
    for (let at = 0; at < 20; at++) {
      expect(found).to.include(`${'+'.repeat(at)}${'-'.repeat(20 - at)}`, 'all up to one');
      expect(found).to.include(`${all.slice(0, at)}-${all.slice(at + 1)}`, 'all but one');
    }
    expect(found.size).to.be.greaterThan(130);
  });

  it('are each given once, also over several moments', async () => {
    const disk = new SimulatedDisk();
    const seen = new Set<string>();
    const file = await fileOf(disk, 'a', 'one');
    const first = [...crashStates(disk, { seen })];
    expect(new Set(first.map(({ hash }) => hash)).size).to.equal(first.length);
    expect([...crashStates(disk, { seen })]).to.deep.equal([]);
    await file.write(bytes('two'), 0);
    expect(contents(crashStates(disk, { seen }), 'a')).to.deep.equal(['two']);
  });
});
