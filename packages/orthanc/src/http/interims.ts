import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

/** So many interim answers (status below 200, RFC 9110 section 15.2) may come before the final one. */
export const maxInterims = 20;

export function endlessInterims(call: CallName): OrthancError {
  return new OrthancError('protocol', `${call.method} ${call.path}: too many interim responses`, call);
}
