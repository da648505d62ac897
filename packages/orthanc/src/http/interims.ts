import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

/** Maximum number of interim responses (status below 200, RFC 9110 section 15.2) before the final one. */
export const maxInterims = 20;

export function endlessInterims(call: CallName): OrthancError {
  return new OrthancError('protocol', `${call.method} ${call.path}: too many interim responses`, call);
}
