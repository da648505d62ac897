import { isIP } from 'node:net';
import { networkMatcher, type ConsoleConfig } from '@dicom-dispatch/core';
import type { FastifyInstance } from 'fastify';

/**
 * Which addresses of a request are trusted proxies, counted from us: only their headers are trusted. The
 * first other address is that of the client; its own headers are ignored.
 */
export function trustedProxies(
  trustProxy: () => ConsoleConfig['trustProxy'],
): (address: string, hop: number) => boolean {
  return (address, hop) => {
    const trusted = trustProxy();
    if (typeof trusted === 'boolean') return trusted && hop < 1;
    if (typeof trusted === 'number') return hop < trusted;
    return networkMatcher(trusted)(address);
  };
}

const header = 'x-forwarded-for';

/**
 * Reads `X-Forwarded-For` as proxies write it, some with ports (`203.0.113.9:51234`, `[2001:db8::9]:443`): with its port a
 * client would be another one for each connection. What is no address is `unknown`.
 */
export function readForwardedAddresses(server: FastifyInstance): void {
  server.addHook('onRequest', async ({ raw: { headers } }) => {
    const given = headers[header];
    if (typeof given === 'string') headers[header] = given.split(',').map(plainAddress).join(', ');
  });
}

function plainAddress(text: string): string {
  const bare = text.trim().replace(/^"(.*)"$/, '$1');
  const inBrackets = /^\[([^\]]*)\](?::\d+)?$/.exec(bare)?.[1];
  const beforePort = /^([\d.]+):\d+$/.exec(bare)?.[1];
  const address = (inBrackets ?? beforePort ?? bare).replace(/%.*$/, '');
  return isIP(address) === 0 ? 'unknown' : address.replace(/^::ffff:(?=[\d.]+$)/i, '');
}
