import type { FastifyRequest } from 'fastify';
import { isLoopback } from '@dicom-dispatch/core';

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

export function changesSomething(request: FastifyRequest): boolean {
  return !safeMethods.has(request.method);
}

/**
 * Why a request may come from a foreign page; undefined if it does not. Browsers send `Sec-Fetch-Site` or `Origin` with requests
 * of pages; programs send neither, and are checked by their token alone.
 */
export function foreignOrigin(request: FastifyRequest, publicUrl: string | undefined): string | undefined {
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return `sent by a page of another site (${site})`;
  const { origin } = request.headers;
  if (origin === undefined || ownOrigins(request, publicUrl).includes(origin)) return undefined;
  return 'sent by a page of another origin';
}

/**
 * Whether the Host header names this machine: without sign-in, a page with a foreign name that resolves to loopback must not
 * read data from here (DNS rebinding).
 */
export function namesLoopback(request: FastifyRequest): boolean {
  const host = request.headers.host;
  if (host === undefined) return false;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return isLoopback(name.toLowerCase());
}

function ownOrigins(request: FastifyRequest, publicUrl: string | undefined): string[] {
  const host = request.headers.host ?? '';
  const own = [`http://${host}`, `https://${host}`];
  return publicUrl === undefined ? own : [...own, new URL(publicUrl).origin];
}
