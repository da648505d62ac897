import { roles, type Role } from '@dicom-dispatch/core';

/** Who makes a request. */
export interface Identity {
  readonly name: string;
  readonly role: Role;
  /** How they proved it. `local`: nothing had to be proved, the console serves this machine alone. */
  readonly by: 'local' | 'password' | 'oidc' | 'token';
  /** Has to come back with every request that changes something; only sessions have one. */
  readonly csrf?: string;
  /** Under which key the session is kept. */
  readonly session?: string;
  /** The only targets that a token may read and act on; absent: all. */
  readonly targets?: readonly string[];
}

/** The identity where no sign-in is configured, and only loopback is served. */
export const localIdentity: Identity = { name: 'local', role: 'administrator', by: 'local' };

/** Whether someone with the role `has` may do what needs the role `needs`. */
export function isAllowed(has: Role, needs: Role): boolean {
  return roles.indexOf(has) >= roles.indexOf(needs);
}
