// The stores we are measured against. They belong to a package of their own, so that nobody who works on the library
// has to compile a database.

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const HOME = fileURLToPath(new URL('../', import.meta.url));

/** Exact versions, as in package.json. */
export function peerVersions() {
  return /** @type {Record<string, string>} */ (readJson(`${HOME}package.json`).dependencies);
}

/** Installs what is missing or has another version than the lock file says. */
export function installPeers() {
  const stale = Object.entries(peerVersions()).filter(([name, version]) => installedVersion(name) !== version);
  if (stale.length === 0) return;
  console.log(
    `Installing ${stale.map((peer) => peer.join('@')).join(', ')} into bench/. This takes a minute or two, once.`,
  );
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', HOME], {
    cwd: HOME,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status === 0) return;
  console.error('npm ci failed in bench/. better-sqlite3 needs a C++ compiler, make and python3 where no binary fits.');
  process.exit(1);
}

/** @param {string} name */
function installedVersion(name) {
  try {
    return readJson(`${HOME}node_modules/${name}/package.json`).version;
  } catch {
    return undefined;
  }
}

/** @param {string} path */
function readJson(path) {
  return JSON.parse(fs.readFileSync(path, 'utf8'));
}
