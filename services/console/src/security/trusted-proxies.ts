import { isIP } from 'node:net';
import { networkMatcher, type ConsoleConfig } from '@dicom-dispatch/core';
import type { FastifyInstance } from 'fastify';

/**
 * Which addresses of a request are trusted proxies; hop 0 is the peer of the connection. The first address that is not trusted is
 * that of the client; entries before it are ignored.
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
 * Removes the ports that some proxies write in `X-Forwarded-For` (`203.0.113.9:51234`, `[2001:db8::9]:443`): with its port, each
 * connection of a client would count as another client. A value that is not an address becomes `unknown`.
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
