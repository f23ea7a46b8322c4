// Process warnings of a kind that a piece of code gives rise to.

/** Runs `run` and returns the texts of the warnings with `code` that came meanwhile. */
export async function warningsOf(code: string, run: () => Promise<void>): Promise<string[]> {
  const texts: string[] = [];
  const listen = (warning: Error & { readonly code?: string }): void => {
    if (warning.code === code) texts.push(warning.message);
  };
  process.on('warning', listen);
  try {
    await run();
    // Warnings are emitted in a later tick.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', listen);
  }
  return texts;
}
