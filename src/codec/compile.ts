// Functions made for one shape of object. A function that names the fields of a shape has inline caches of its own for
// them, where one for all shapes has to look each field up; that is most of what makes it fast.
//
// Nothing from outside gets into their text but field names, as JSON strings (`literal`) or as numbers. `__proto__`,
// which means something else in an object literal, must not be among them: nobody adds it to a shape.

/** The field's name as text of a program. */
export function literal(name: string): string {
  return JSON.stringify(name);
}

/**
 * The function with this parameter list and body, which may use the names in `given`. Undefined where the process
 * forbids code from strings: then there are no programs, and everything takes the way that knows no shapes.
 */
export function compile<F>(parameters: string, body: string, given: Readonly<Record<string, unknown>>): F | undefined {
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- names as JSON strings and numbers are all that comes in.
    const make = new Function(...Object.keys(given), `'use strict';return function(${parameters}){${body}}`);
    return make(...Object.values(given)) as F;
  } catch {
    return undefined;
  }
}
