// The command line of `npm run crash:real`: names of lanes, and a seed.

export interface Arguments {
  /** Parts of the names of lanes; all lanes if there are none. */
  readonly names: readonly string[];
  readonly seed: number | undefined;
}

/** Throws on what it does not know: a lane that is left out by mistake proves nothing. */
export function readArguments(args: readonly string[]): Arguments {
  const names: string[] = [];
  let seed: number | undefined;
  for (let at = 0; at < args.length; at++) {
    const [option, given] = args[at]!.split('=', 2) as [string, string | undefined];
    if (option === '--seed') {
      const text = given ?? args[++at] ?? '';
      seed = Number(text);
      if (text === '' || !Number.isSafeInteger(seed)) throw new Error(`--seed must be an integer, got '${text}'`);
    } else if (option.startsWith('-')) throw new Error(`There is no option ${option}; there is --seed N`);
    else names.push(args[at]!);
  }
  return { names, seed };
}
