import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { networkError } from './index.ts';

/** An error of the operating system, not a made-up one. */
async function failure(options: { readonly host: string; readonly localAddress?: string }): Promise<unknown> {
  return new Promise((resolve) => {
    const socket = connect({ port: 9, ...options });
    socket.on('error', resolve).on('connect', () => resolve(undefined));
  });
}

it('no free local address or port is a fault of this machine, not of the target', async () => {
  // A documentation address (RFC 5737): no interface has it.
  const thrown = await failure({ host: '127.0.0.1', localAddress: '192.0.2.1' });
  const error = networkError(thrown, 'pacs', { stage: 'connect' });
  expect(error).toMatchObject({ code: 'local-resources', fault: 'internal', stage: 'connect' });
  expect(error.message).toContain('EADDRNOTAVAIL');
  expect(error.remedy).toContain('ip_local_port_range');
});

it('a firewall of this machine is named as such', () => {
  const error = networkError(Object.assign(new Error('connect EPERM'), { code: 'EPERM' }), 'pacs');
  expect(error).toMatchObject({
    code: 'target-unreachable',
    message: 'pacs cannot be reached: this host does not allow the connection (EPERM)',
    remedy: 'Allow the connection in the firewall of this host.',
  });
});

it('names that cannot be resolved because no file can be opened are a fault of this process', async () => {
  const child = join(import.meta.dirname, 'out-of-files.child.ts');
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 60; exec "$@"', 'sh', process.execPath, child]);
  const [atLimit, later] = JSON.parse(stdout) as { code: string; remedy: string }[];
  expect(atLimit).toMatchObject({ code: 'local-resources', remedy: expect.stringContaining('ulimit -n') });
  expect(later).toMatchObject({ code: 'target-unreachable' });
});
