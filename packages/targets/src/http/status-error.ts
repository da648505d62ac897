import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';

export interface StatusFacts {
  /** What was asked of the server, for the message: "the upload", "the search" … */
  readonly what: string;
  readonly retryAfterMs?: number | undefined;
}

/**
 * What an HTTP status means for a delivery as a whole (PS3.18 section 8.5 and annex I; our table of answers). Handlers
 * that know more of an answer, such as per-instance outcomes, look at it first.
 */
export function statusError(status: number, { what, retryAfterMs }: StatusFacts): DispatchError {
  const { code, reason } = meaning(status);
  return new DispatchError(code, `the target answered ${what} with ${status}: ${reason}`, {
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/**
 * The same for the first request of a delivery: a gateway whose service is down or busy says that the target is out of
 * reach, so deliveries wait for it.
 */
export function connectError(status: number, facts: StatusFacts): DispatchError {
  if (status < 502 || status > 504) return statusError(status, facts);
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
