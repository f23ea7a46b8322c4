// Holds the table of layers: a folder of `src` imports only from itself and from folders above it in this list.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';

const LAYERS = [
  'errors',
  'bytes',
  'storage',
  'codec',
  'wal',
  'checkpoint',
  'recovery',
  'aggregate',
  'store',
  'segment-index',
  'testing',
];

/** The one folder that may import each package. */
const PACKAGES: Record<string, string> = {
  'crc-32': 'bytes',
  '@msgpack/msgpack': 'codec',
  immer: 'aggregate',
  'reflect-metadata': 'aggregate',
  rxjs: 'store',
};

interface Import {
  readonly file: string;
  readonly layer: string;
  readonly target: string;
}

function imports(): Import[] {
  const found: Import[] = [];
  for (const file of fs.readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const text = fs.readFileSync(path.join('src', file), 'utf8');
    for (const [, target] of text.matchAll(/(?:^(?:import|export) [^;']*?from |^import |\bimport\()'([^']+)'/gm))
      found.push({ file, layer: layerOf(file), target: target! });
  }
  return found;
}

/** First folder below `src`; '' for `src/index.ts`, which may import everything. */
function layerOf(file: string): string {
  return file.includes(path.sep) ? file.split(path.sep)[0]! : '';
}

describe('layers', () => {
  const all = imports();

  it('finds the imports it judges', () => {
    expect(all.length).to.be.greaterThan(100);
    expect(new Set(all.map(({ layer }) => layer))).to.deep.equal(new Set(['', ...LAYERS]));
  });

  it('lets a folder import only from itself and from layers above it', () => {
    const upward = all.filter(({ file, layer, target }) => {
      if (!target.startsWith('.') || layer === '') return false;
      const to = layerOf(path.join(path.dirname(file), target));
      return LAYERS.indexOf(to) > LAYERS.indexOf(layer) || to === '';
    });
    expect(upward).to.deep.equal([]);
  });

  it('gives each third-party package one importing folder', () => {
    const importers = all
      .filter(({ target }) => !target.startsWith('.') && !target.startsWith('node:'))
      .map(({ layer, target }) => `${target} in ${layer}`);
    const allowed = Object.entries(PACKAGES).map(([target, layer]) => `${target} in ${layer}`);
    expect([...new Set(importers)].sort()).to.deep.equal(allowed.sort());
  });

  it('lists the dependencies that are imported, and no others', () => {
    const { dependencies } = JSON.parse(fs.readFileSync('package.json', 'utf8')) as { dependencies: object };
    expect(Object.keys(dependencies).sort()).to.deep.equal(Object.keys(PACKAGES).sort());
  });

  it('opens every file with what it owns', () => {
    for (const file of fs.readdirSync('src', { recursive: true, encoding: 'utf8' }))
      if (file.endsWith('.ts')) expect(fs.readFileSync(path.join('src', file), 'utf8'), file).to.match(/^\/\/ /);
  });
});
