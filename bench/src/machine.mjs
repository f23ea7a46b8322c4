// What the figures were measured on: without it they mean nothing.

import * as fs from 'node:fs';
import * as os from 'node:os';
import { peerVersions } from './peers.mjs';

/** @param {string} folder */
export function describeMachine(folder) {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${os.type()} ${os.release().replace(/-.*/, '')} ${os.arch()}`,
    node: process.version,
    fileSystem: fileSystemOf(folder),
    loadAverage: os.loadavg()[0],
    peers: peerVersions(),
  };
}

/** @param {ReturnType<typeof describeMachine>} machine */
export function printMachine(machine) {
  const { cpu, cores, memoryGiB, node, fileSystem, loadAverage } = machine;
  console.log(`${cpu}, ${cores} cores, ${memoryGiB} GiB, ${machine.os}, node ${node}, data on ${fileSystem}`);
  console.log(
    Object.entries(machine.peers)
      .map((peer) => peer.join(' '))
      .join(', '),
  );
  if (fileSystem === 'tmpfs') console.log('Note: tmpfs has no disk below it; syncs cost nothing here.');
  if (loadAverage > 0.5 * cores) console.log(`Note: others use this machine (load ${loadAverage.toFixed(1)}).`);
  console.log();
}

/** Type of the file system with the longest mount point that leads to `folder`. @param {string} folder */
function fileSystemOf(folder) {
  try {
    const mounts = fs
      .readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, point = '']) => folder === point || folder.startsWith(point.endsWith('/') ? point : `${point}/`));
    return mounts.sort(([, a = ''], [, b = '']) => b.length - a.length)[0]?.[2] ?? 'unknown';
  } catch {
    return `type 0x${fs.statfsSync(folder).type.toString(16)}`;
  }
}
