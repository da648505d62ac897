import { roles, type ConsoleConfig, type Role } from '@dicom-dispatch/core';

type Oidc = NonNullable<ConsoleConfig['oidc']>;

/** The highest role that one of the values of the claim gives. */
export function roleOf(oidc: Pick<Oidc, 'roles'>, values: readonly unknown[]): Role | undefined {
  const given = new Set(values);
  return roles.findLast((one) => oidc.roles[one].some((value) => given.has(value)));
}

/** Values of the claim that are mapped to a role. */
export function knownValues(oidc: Pick<Oidc, 'roles'>, claim: unknown): string[] {
  const given = new Set<unknown>(Array.isArray(claim) ? claim : [claim]);
  return [...new Set(roles.flatMap((role) => oidc.roles[role]))].filter((value) => given.has(value));
}
