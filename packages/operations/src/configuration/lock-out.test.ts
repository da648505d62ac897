import { describe, expect, it } from 'vitest';
import { lockOutProblems } from './lock-out.ts';

const ada = { name: 'ada', by: 'password' } as const;
const script = { name: 'token:script', by: 'token' } as const;
const oidc = { name: 'olga', by: 'oidc' } as const;
const local = { name: 'local', by: 'local' } as const;
const administrator = { role: 'administrator' };
const before = {
  console: {
    users: { ada: administrator },
    tokens: { script: administrator },
    oidc: { roles: { administrator: ['pacs-admins'] } },
  },
};

describe('a change of who may sign in', () => {
  it.each([
    ['without a console', {}],
    ['without users', { console: { users: {} } }],
    ['that leaves viewers only', { console: { users: { ada: { role: 'viewer' }, vera: {} } } }],
    ['that gives the role to no group', { console: { oidc: { roles: { administrator: [] } } } }],
    ['that is no map', { console: { users: 'ada' } }],
  ])('%s is refused: there would be no administrator', (_, after) => {
    for (const who of [ada, script, oidc])
      expect(lockOutProblems(before, after, who)).toEqual([expect.stringMatching(/^there would be no administrator/)]);
    expect(lockOutProblems(before, after, local)).toEqual([]);
  });

  it.each([
    ['removes who makes it', { users: { bob: administrator } }, ada],
    ['disables who makes it', { users: { ada: { ...administrator, enabled: false }, bob: administrator } }, ada],
    ['makes who makes it a viewer', { users: { ada: { role: 'viewer' }, bob: administrator } }, ada],
    ['removes the token that makes it', { users: { ada: administrator } }, script],
    ['removes the sign-in that makes it', { users: { ada: administrator } }, oidc],
  ])('that %s is refused', (_, console, who) => {
    expect(lockOutProblems(before, { console }, who)).toEqual([
      expect.stringMatching(/would no longer be an administrator/),
    ]);
  });

  it.each([
    ['another user', { users: { ada: administrator } }, ada],
    ['a role from the environment', { users: { ada: { role: '${ROLE}' } } }, ada],
    ['another token', { tokens: { script: administrator } }, script],
    ['a user beside oidc', { oidc: { roles: { administrator: ['pacs-admins'] } } }, oidc],
  ])('that leaves them is made: %s', (_, console, who) => {
    expect(lockOutProblems(before, { console }, who)).toEqual([]);
  });

  it('is not refused for what was so before it', () => {
    expect(lockOutProblems({ console: {} }, { console: { users: {} } }, ada)).toEqual([]);
  });
});
