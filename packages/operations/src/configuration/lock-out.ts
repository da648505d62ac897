type Plain = Readonly<Record<string, unknown>>;

/** The user who makes a change, as known to the console. */
export interface Changer {
  readonly name: string;
  readonly by: 'local' | 'password' | 'oidc' | 'token';
}

/**
 * Why a change must not be made: no administrator would be left, or the user would lose the role and could not undo it.
 * Without sign-in (`local`), nobody can be locked out; a state that exists before the change is not its effect.
 *
 * @param before - the configuration as written
 * @param after - the new one
 */
export function lockOutProblems(before: unknown, after: unknown, who: Changer): string[] {
  return who.by === 'local' || problemsOf(before, who).length > 0 ? [] : problemsOf(after, who);
}

function problemsOf(config: unknown, who: Changer): string[] {
  const console = plain(plain(config)['console']);
  const [users, tokens, oidc] = [plain(console['users']), plain(console['tokens']), console['oidc']];
  const isAdministrator = (one: unknown): boolean =>
    plain(one)['enabled'] !== false && mayBeAdministrator(plain(one)['role']);
  const named = oidc === undefined ? undefined : plain(plain(oidc)['roles'])['administrator'];
  const byOidc = typeof named === 'string' || (Array.isArray(named) && named.length > 0);
  if (!byOidc && ![...Object.values(users), ...Object.values(tokens)].some(isAdministrator))
    return ['there would be no administrator: keep a user with the role administrator'];
  const own =
    who.by === 'password'
      ? isAdministrator(users[who.name])
      : who.by === 'token'
        ? isAdministrator(tokens[who.name.replace(/^token:/, '')])
        : byOidc;
  return own
    ? []
    : [`you (${who.name}) would no longer be an administrator: ask another administrator to make this change`];
}

/** A reference such as `${ROLE}` may represent any role. */
function mayBeAdministrator(role: unknown): boolean {
  return role === 'administrator' || (typeof role === 'string' && role.includes('${'));
}

function plain(value: unknown): Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {};
}
