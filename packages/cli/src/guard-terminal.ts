import { inspect } from 'node:util';
import { printable } from '@dicom-dispatch/core/printable';

/**
 * Escapes control characters and bidirectional marks in all output from now on, so that a terminal shows the text of tags, peers
 * and files literally.
 */
export function guardTerminal(): void {
  for (const name of ['log', 'error'] as const) {
    const print = console[name].bind(console);
    console[name] = (...args: readonly unknown[]) =>
      print(...args.map((one) => printable(typeof one === 'string' ? one : inspect(one))));
  }
}
