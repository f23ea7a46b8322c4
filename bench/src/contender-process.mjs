// The parent's handle on a contender's process.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RESULTS } from './folders.mjs';

/** @import { Round, Size } from './scenario.js' */

export class ContenderProcess {
  /** How the contender is used. */
  how = '';
  /** @type {import('node:child_process').ChildProcess} */
  #child;

  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    this.#child = child;
  }

  /**
   * @param {URL} scenario
   * @param {string} name
   * @param {boolean} profile
   */
  static async start(scenario, name, profile) {
    const profiling = ['--cpu-prof', `--cpu-prof-dir=${RESULTS}`, `--cpu-prof-name=${profileName(scenario, name)}`];
    const child = fork(fileURLToPath(new URL('./child.mjs', import.meta.url)), [scenario.href, name], {
      execArgv: profile ? profiling : [],
    });
    const started = new ContenderProcess(child);
    started.how = /** @type {string} */ (await started.#answer());
    return started;
  }

  /**
   * @param {string} folder
   * @param {Size} size
   */
  async prepare(folder, size) {
    this.#child.send({ step: 'prepare', folder, size });
    await this.#answer();
  }

  /**
   * @param {string} folder
   * @param {Size} size
   */
  async round(folder, size) {
    this.#child.send({ step: 'round', folder, size });
    return /** @type {Round} */ (await this.#answer());
  }

  /** @returns {Promise<void>} */
  stop() {
    const child = this.#child;
    if (child.exitCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.disconnect();
    });
  }

  /** @returns {Promise<unknown>} */
  #answer() {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const onExit = (/** @type {number | null} */ code) =>
        reject(new Error(`The contender's process ended with ${code}`));
      child.once('exit', onExit);
      child.once('message', (/** @type {{ answer?: unknown, error?: string }} */ { answer, error }) => {
        child.off('exit', onExit);
        if (error === undefined) resolve(answer);
        else reject(new Error(error));
      });
    });
  }
}

/**
 * @param {URL} scenario
 * @param {string} name
 */
function profileName(scenario, name) {
  const id = scenario.pathname.replace(/^.*\/|\.mjs$/g, '');
  return `${id}-${name.replace(/\W+/g, '-')}.cpuprofile`;
}
