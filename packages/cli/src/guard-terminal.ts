import { inspect } from 'node:util';
import { printable } from '@dicom-dispatch/core/printable';

/**
 * Lets the terminal show what comes from tags, peers and files, and obey none of it: from here on all that is printed has its
 * control characters and marks of direction written out.
 */
export function guardTerminal(): void {
  for (const name of ['log', 'error'] as const) {
    const print = console[name].bind(console);
    console[name] = (...args: readonly unknown[]) =>
      print(...args.map((one) => printable(typeof one === 'string' ? one : inspect(one))));
  }
}
