import { isLoopback } from '@dicom-dispatch/core';
import type { FastifyRequest } from 'fastify';

/** Headers that proxies, load balancers and CDNs add to requests; browsers and programs send none of them. */
const forwardingHeader = new RegExp(
  [
    '^via$|forward|proxy|real-ip|client-?ip|connecting-ip|user-ip|originating-ip|remote-(ip|addr|user)|client-cert',
    '^x-(original-.+|rewrite-url|host|http-host-override|scheme|url-scheme|coming-from)$|^front-end-https$',
    '^(cf|cdn|fastly|fly|incap|surrogate|cloudfront|ms-aspnetcore|tailscale)-',
    '^x-(envoy|arr|azure|amz-cf|amzn|akamai|edge|vercel|sucuri|appengine|cloud-trace|varnish|haproxy|traefik|nginx|ms|iis)-',
    '^akamai-|^x-varnish$|auth-request|webauth|authentik',
  ].join('|'),
);

/**
 * Evidence that a request came through a proxy; undefined for a request from this machine, as far as can be determined. Without a
 * sign-in, every user of the proxy would be an administrator.
 */
export function proxySign(request: FastifyRequest): string | undefined {
  const header = Object.keys(request.headers).find((name) => forwardingHeader.test(name));
  if (header !== undefined) return `it has the header ${header}`;
  // The default of nginx for upstream servers, which neither browsers nor current programs use.
  if (request.raw.httpVersionMajor < 1 || request.raw.httpVersion === '1.0') return 'it is HTTP 1.0';
  // The request comes from a page of this console that was opened with another host name.
  const site = request.headers['sec-fetch-site'];
  if (site === 'same-origin' && namesOtherHost(request.headers.referer)) return 'its page has another host';
  return undefined;
}

function namesOtherHost(url: string | undefined): boolean {
  if (url === undefined || !URL.canParse(url)) return false;
  return !isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'));
}
