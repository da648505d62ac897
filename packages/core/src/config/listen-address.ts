import { z } from 'zod';

/** Where a server listens: HOST:PORT or [IPv6]:PORT. */
export const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'an address is HOST:PORT, e.g. 127.0.0.1:8080');
