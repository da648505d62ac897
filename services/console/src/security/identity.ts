import { roles, type Role } from '@dicom-dispatch/core';

/** The sender of a request. */
export interface Identity {
  readonly name: string;
  readonly role: Role;
  /** How the identity was verified. `local`: no verification was needed, the console serves this machine only. */
  readonly by: 'local' | 'password' | 'oidc' | 'token';
  /** Token that must be sent with every request that changes something; only sessions have one. */
  readonly csrf?: string;
  /** The key under which the session is stored. */
  readonly session?: string;
  /** The only targets that a token may read and act on; absent: all. */
  readonly targets?: readonly string[];
}

/** The identity if no sign-in is configured, and only loopback is served. */
export const localIdentity: Identity = { name: 'local', role: 'administrator', by: 'local' };

/** Whether the role `has` includes the permissions of the role `needs`. */
export function isAllowed(has: Role, needs: Role): boolean {
  return roles.indexOf(has) >= roles.indexOf(needs);
}
