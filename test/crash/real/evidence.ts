// What must be left after a disaster, and whether it is: first by a second reading of the bytes that shares no code with
// the library, and then by the library itself.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { canRead, secondReading } from '../../support/second-parser.js';
import { secondStoreReading } from '../../support/second-store-parser.js';
import type { Tally } from '../lanes/lane.js';
import { countUnits, openUnits, type NumberedOptions } from './numbered-notes.js';
import type { Noted, Units, Writer } from './writer.js';

/** What was promised of the units in one folder. */
export class Promised {
  readonly folder: string;
  /** Units that must be there, and the position that they lead to. */
  units = 0;
  position = 0;
  /** Units of which it is not known, and that may be there. */
  most = 0;
  readonly #tally: Tally;

  constructor(folder: string, tally: Tally) {
    this.folder = folder;
    this.#tally = tally;
  }

  /**
   * What a writer found, and then what was acknowledged, as far as it was `noted` in time. Throws if it found too
   * little. `isDurable`: acknowledgements promise that it survives what happened.
   */
  add(writer: Writer, noted: Noted = writer.noted(), isDurable = true): void {
    const all = writer.noted();
    const { opened } = all;
    if (opened !== undefined) this.#expect(opened, 'opening has found');
    if (noted.opened !== undefined) this.found(noted.opened);
    if (isDurable && noted.acknowledged !== undefined) {
      Object.assign(this, noted.acknowledged);
      this.#tally.add('acknowledged units checked', noted.count);
    }
    this.most = Math.max(this.most, opened?.units ?? 0, all.acknowledged?.units ?? 0) + writer.options.atOnce;
  }

  /** What was shown by opening counts as promised from then on. */
  found(opened: Units): void {
    this.#expect(opened, 'opening has found');
    Object.assign(this, opened, { most: opened.units });
  }

  /** Reads the files without the library. */
  examine({ level, textBytes }: NumberedOptions): void {
    if (!canRead) return;
    const files = filesBelow(this.folder);
    this.#tally.add('second readings');
    if (level === 'store') {
      const verdict = secondStoreReading(files);
      if (verdict.kind !== 'opens') throw new Error(`A second reading of the files: ${verdict.why}`);
      if (verdict.position < this.position)
        throw new Error(`The files end with position ${verdict.position}, ${this.position} was acknowledged`);
      return;
    }
    const verdict = secondReading(files);
    if (verdict.kind !== 'log') throw new Error(`A second reading of the files: ${verdict.why}`);
    const units = countUnits(
      verdict.entries.map(({ text }) => text),
      textBytes,
    );
    this.#expect({ units, position: verdict.entries.length }, 'the files hold');
  }

  /** Opens it, and writes one more unit. Ends with a clean close, or with a `disaster`. */
  async recover(options: NumberedOptions, disaster?: () => Promise<void>): Promise<void> {
    const numbered = await openUnits(this.folder, { ...options, durability: 'fsync' });
    try {
      this.found({ units: numbered.found, position: numbered.position });
      this.#tally.add('recoveries');
      const unit = numbered.found + 1;
      const position = await numbered.write(unit);
      expect(position).to.be.greaterThan(this.position);
      Object.assign(this, { units: unit, position, most: unit });
      await disaster?.();
    } finally {
      await numbered.close().catch((error: unknown) => {
        if (disaster === undefined) throw error;
      });
    }
    if (disaster === undefined) this.examine(options);
  }

  /** Removes the files. */
  remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  #expect({ units, position }: Units, what: string): void {
    if (units < this.units || position < this.position)
      throw new Error(
        `${this.units} units up to position ${this.position} were acknowledged or shown, ${what} ${units} up to ${position}`,
      );
    if (units > this.most) throw new Error(`At most ${this.most} units were written, ${what} ${units}`);
  }
}

/** Throws unless the writer ended as one may whose file system refused something. */
export function expectTyped(writer: Writer): void {
  const bad = writer.lines.find((line) => line.includes('untyped') || line === 'went on');
  if (bad !== undefined) throw new Error(`The writer said: ${bad}`);
  if (writer.errors !== '') throw new Error(`The writer said: ${writer.errors.slice(0, 2000)}`);
}

function filesBelow(folder: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const part of ['wal', 'checkpoints']) {
    if (!fs.existsSync(path.join(folder, part))) continue;
    for (const name of fs.readdirSync(path.join(folder, part)))
      if (/\.(log|ckpt)$/.test(name)) files.set(`${part}/${name}`, fs.readFileSync(path.join(folder, part, name)));
  }
  return files;
}
