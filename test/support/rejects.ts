// Asserts on errors by class, and gives them back for a closer look.

import { expect } from 'chai';
import { CairnError } from 'cairnlog';

type ErrorClass<E extends CairnError> = abstract new (...args: never[]) => E;

/** The error of the given class that the promise rejects with. */
export async function rejects<E extends CairnError>(promise: Promise<unknown>, Class: ErrorClass<E>): Promise<E> {
  try {
    await promise;
  } catch (error) {
    return checked(error, Class);
  }
  return expect.fail(`expected ${Class.name}, but nothing was thrown`);
}

/** The error of the given class that the call throws. */
export function throws<E extends CairnError>(call: () => unknown, Class: ErrorClass<E>): E {
  try {
    call();
  } catch (error) {
    return checked(error, Class);
  }
  return expect.fail(`expected ${Class.name}, but nothing was thrown`);
}

function checked<E extends CairnError>(error: unknown, Class: ErrorClass<E>): E {
  if (!(error instanceof Class)) throw error;
  expect(error.code).to.match(/^CAIRN_[A-Z_]+$/);
  expect(error.message.length).to.be.greaterThan(10);
  return error;
}
