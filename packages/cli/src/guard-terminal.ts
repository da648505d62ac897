import { inspect } from 'node:util';
import { printable } from '@dicom-dispatch/core/printable';

/**
 * Makes the terminal show text of tags, peers and files literally: from here on the control
 * characters and bidirectional marks of all output are escaped.
 */
export function guardTerminal(): void {
  for (const name of ['log', 'error'] as const) {
    const print = console[name].bind(console);
    console[name] = (...args: readonly unknown[]) =>
      print(...args.map((one) => printable(typeof one === 'string' ? one : inspect(one))));
  }
}
