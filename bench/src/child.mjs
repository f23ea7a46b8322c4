// A contender's process: loads one store, and runs the rounds that its parent asks for. A process of its own, so that
// no store pays for what another did to the heap or to the compiled code that they share.

import * as fs from 'node:fs';
import { CONTENDERS } from './contenders/index.mjs';

/** @import { Contender } from './contender.js' */
/** @import { Race, Size } from './scenario.js' */

const [scenarioUrl, name] = process.argv.slice(2);
const { default: race } = /** @type {{ default: Race }} */ (await import(/** @type {string} */ (scenarioUrl)));
const contenders = /** @type {Record<string, () => Promise<Contender>>} */ (race.contenders ?? CONTENDERS);
const contender = await contenders[name]();

process.on('disconnect', () => {
  Promise.resolve(race.finish?.()).then(
    () => process.exit(),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('message', (/** @type {Request} */ request) => {
  work(request).then(
    (answer) => process.send?.({ answer }),
    (error) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
  );
});
process.send?.({ answer: contender.how[race.uses] });

/** @typedef {{ step: 'prepare' | 'round', folder: string, size: Size }} Request */

/** @param {Request} request */
async function work({ step, folder, size }) {
  fs.mkdirSync(folder, { recursive: true });
  return step === 'prepare' ? race.prepare?.(contender, folder, size) : race.round(contender, folder, size);
}
