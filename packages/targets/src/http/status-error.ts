import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';

export interface StatusFacts {
  /** The request, for the message: "the upload", "the search" … */
  readonly what: string;
  readonly retryAfterMs?: number | undefined;
}

/**
 * Meaning of an HTTP status for a delivery as a whole (PS3.18 section 8.5 and annex I). Handlers
 * check more specific results, such as per-instance outcomes, first.
 */
export function statusError(status: number, { what, retryAfterMs }: StatusFacts): DispatchError {
  const { code, reason } = meaning(status);
  return new DispatchError(code, `the target answered ${what} with ${status}: ${reason}`, {
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/**
 * Whether a status means that a gateway did not reach its service, or got no response in time: 502 to 504 (RFC 9110), 520 to 530 of
 * Cloudflare, 598 and 599 of other proxies.
 */
export function isOfGateway(status: number): boolean {
  return (status >= 502 && status <= 504) || (status >= 520 && status <= 530) || status === 598 || status === 599;
}

/**
 * Whether the result of a request with this status is unknown: a gateway (`isOfGateway`) or the service failed (500), or a proxy ended
 * the request (408; 460 of a load balancer of AWS, 499 of nginx).
 */
export function leavesOpen(status: number): boolean {
  return isOfGateway(status) || [408, 460, 499, 500].includes(status);
}

/**
 * Like `statusError`, for the first request of a delivery: if the service behind a gateway is down or busy, the target is unreachable,
 * and deliveries wait for it.
 */
export function connectError(status: number, facts: StatusFacts): DispatchError {
  if (!isOfGateway(status)) return statusError(status, facts);
  const { what, retryAfterMs } = facts;
  return new DispatchError(
    'target-unreachable',
    `the target answered ${what} with ${status}: its gateway cannot reach it, or it is temporarily unavailable`,
    {
      remedy: 'Check that the service behind the gateway is running.',
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  );
}

function meaning(status: number): { code: ErrorCode; reason: string } {
  switch (status) {
    case 401:
      return { code: 'target-unauthorized', reason: 'the credentials are missing or wrong' };
    case 403:
      return { code: 'target-unauthorized', reason: 'the credentials do not allow this' };
    case 404:
      return { code: 'target-misconfigured', reason: 'nothing exists at this address' };
    case 405:
      return { code: 'target-misconfigured', reason: 'this address does not accept such requests' };
    case 406:
      return { code: 'target-misconfigured', reason: 'it cannot respond in an accepted format' };
    case 408:
    case 460:
    case 499:
      return { code: 'target-busy', reason: 'it waited too long for the request' };
    case 413:
      return { code: 'instance-too-large', reason: 'the request is too large' };
    case 415:
      return { code: 'target-misconfigured', reason: 'it does not accept this type of content' };
    case 429:
      return { code: 'target-busy', reason: 'too many requests' };
    case 503:
      return { code: 'target-busy', reason: 'it is temporarily unavailable' };
    case 507:
      return { code: 'target-full', reason: 'it has no space left' };
    default:
      if (status >= 500) return { code: 'target-error', reason: 'it failed' };
      if (status >= 300 && status < 400) {
        return { code: 'target-misconfigured', reason: 'it redirects to another address; configure that address' };
      }
      return { code: 'target-misconfigured', reason: 'it rejects the request' };
  }
}
