import { z } from 'zod';

import { OrthancError } from '../orthanc-error.ts';
import type { OrthancErrorCode } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

/** Maximum bytes of an error response that are read. */
export const maxErrorBytes = 64 * 1024;

const errorBodySchema = z.object({
  Message: z.string().optional(),
  Details: z.string().optional(),
  OrthancStatus: z.number().optional(),
  OrthancError: z.string().optional(),
  HttpStatus: z.number().optional(),
});

const remedies: Partial<Record<OrthancErrorCode, string>> = {
  unauthorized: 'the server rejects the credentials; check username, password or token',
  forbidden: 'this user has no permission; check its permissions, and RemoteAccessAllowed',
  'not-found': 'there is no such resource',
  conflict: 'the resource was changed by another client; read it again',
  busy: 'the server asks for a later retry',
};

/** The error for a response that is not successful (any status from 300; for files any except 200). */
export function answerError(
  call: CallName,
  status: number,
  body: string,
  retryAfter: string | undefined,
): OrthancError {
  const answer = parseBody(body);
  const code = codeOfStatus(status);
  const reason = [remedies[code], answer.Message].filter((text) => text !== undefined).join(': ');
  return new OrthancError(code, `${call.method} ${call.path}: HTTP ${status}${reason === '' ? '' : `, ${reason}`}`, {
    ...call,
    status,
    orthancStatus: answer.OrthancStatus,
    details: answer.Details,
    // A proxy's page has none of these; nor have some of Orthanc's own 404s, which are empty.
    isOrthancAnswer:
      answer.OrthancStatus !== undefined && answer.OrthancError !== undefined && answer.HttpStatus === status,
    retryAfterMs: parseRetryAfter(retryAfter),
  });
}

function codeOfStatus(status: number): OrthancErrorCode {
  switch (status) {
    case 401:
      return 'unauthorized';
    case 403:
      return 'forbidden';
    case 404:
      return 'not-found';
    case 409:
    case 412:
      return 'conflict';
    case 413:
      return 'too-large';
    case 429:
    case 503:
      return 'busy';
    default:
      return status < 500 ? 'bad-request' : 'server-error';
  }
}

/** Fields of Orthanc's error body; of a proxy's page nothing is read. */
function parseBody(body: string): z.infer<typeof errorBodySchema> {
  try {
    return errorBodySchema.parse(JSON.parse(body));
  } catch {
    return {};
  }
}

/** Seconds or a date (RFC 9110, section 10.2.3), in milliseconds from now. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
