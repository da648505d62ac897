import { isLoopback } from '@dicom-dispatch/core';
import type { FastifyRequest } from 'fastify';

/** What proxies, load balancers and content networks add to requests; browsers and programs send none of these. */
const forwardingHeader =
  /^(forwarded|via|x-forwarded(-.+)?|x-real-ip|x-client-ip|x-cluster-client-ip|x-remote-(ip|addr)|x-original-.+|x-rewrite-url|x-envoy-.+|x-proxy-.+|x-arr-.+|x-azure-.+|x-amz-cf-.+|x-amzn-.+|true-client-ip|client-ip|cf-.+|cdn-loop|fastly-.+|proxy-.+)$/;

/**
 * How it shows that a request came through a proxy, where nobody has to sign in: whoever reaches the proxy would be
 * administrator. undefined for one that came from this machine as far as can be told.
 */
export function proxySign(request: FastifyRequest): string | undefined {
  const header = Object.keys(request.headers).find((name) => forwardingHeader.test(name));
  if (header !== undefined) return `it has the header ${header}`;
  // What nginx speaks to servers behind it, unless told otherwise, and neither browsers nor programs of today.
  if (request.raw.httpVersionMajor < 1 || request.raw.httpVersion === '1.0') return 'it is HTTP 1.0';
  // A page of ours that its browser knows under another name than this machine's.
  const site = request.headers['sec-fetch-site'];
  if (site === 'same-origin' && namesOtherHost(request.headers.referer)) return 'its page has another host';
  return undefined;
}

function namesOtherHost(url: string | undefined): boolean {
  if (url === undefined || !URL.canParse(url)) return false;
  return !isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'));
}
