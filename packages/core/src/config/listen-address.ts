import { z } from 'zod';

/** Listening address of a server: HOST:PORT or [IPv6]:PORT. */
export const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'an address is HOST:PORT, e.g. 127.0.0.1:8080')
  .refine((text) => Number(/\d+$/.exec(text)?.[0]) <= 65_535, 'a port is at most 65535');

/** The host of `HOST:PORT` or `[IPv6]:PORT`, without brackets. */
export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
}

/** Whether only this machine can reach a host; brackets around an IPv6 address do not matter. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return bare === 'localhost' || bare === '::1' || /^127\.\d+\.\d+\.\d+$/.test(bare);
}
