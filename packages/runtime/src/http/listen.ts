import { hostOf } from '@dicom-dispatch/core';

/** `HOST:PORT` or `[IPv6]:PORT` as listening options of a server. */
export function parseListen(listen: string): { host: string; port: number } {
  return { host: hostOf(listen), port: Number(listen.slice(listen.lastIndexOf(':') + 1)) };
}
