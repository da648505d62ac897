import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { networkError } from './index.ts';

/** Connects to a host name while this process cannot open further files, and again when it can. To be started with a low limit. */
const attempt = (host: string): Promise<unknown> =>
  new Promise((resolve) => connect({ host, port: 9 }).on('error', resolve).on('connect', resolve));
const held: number[] = [];
try {
  for (;;) held.push(openSync('/dev/null', 'r'));
} catch {
  // No file handles are left.
}
const atLimit = networkError(await attempt('pacs.invalid'), 'pacs.invalid').toRecord();
for (const file of held) closeSync(file);
const later = networkError(await attempt('pacs.invalid'), 'pacs.invalid').toRecord();
process.stdout.write(JSON.stringify([atLimit, later]));
