import { isDeepStrictEqual } from 'node:util';

type Plain = Readonly<Record<string, unknown>>;

/** Sections that an editor may change. */
const sections: ReadonlySet<string> = new Set(['targets', 'groups', 'rules']);

/** Options of a target that say where it is: with another one, a secret would be sent to somebody else. */
const places = [
  'type',
  'host',
  'url',
  'stowUrl',
  'qidoUrl',
  'wadoUrl',
  'endpoint',
  'port',
  'query',
  'via',
  'auth',
  'tls',
  'role',
];

/**
 * Why somebody with the role `editor` may not make a change: sections of administrators, and secrets of others. A secret that
 * an editor types is their own; one that is there stays where it is, and goes to no other place.
 *
 * @param before - the configuration as it is written
 * @param after - as it would be
 * @param typed - sealed secrets that were typed just now; left out: those that are not in `before`
 */
export function editorProblems(before: unknown, after: unknown, typed?: ReadonlySet<string>): string[] {
  const [old, now] = [plain(before), plain(after)];
  const problems: string[] = [];
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (!sections.has(name) && !isDeepStrictEqual(old[name], now[name]))
      problems.push(`${name}: only an administrator may change this section`);
  }
  const sealed = new Set(references(before));
  const isOwn = (one: string): boolean => {
    const text = /^\{"sealed":"([^"]+)"\}$/.exec(one)?.[1];
    return text !== undefined && (typed ? typed.has(text) : !sealed.has(one));
  };
  const [oldTargets, newTargets] = [plain(old['targets']), plain(now['targets'])];
  for (const [name, target] of Object.entries(newTargets)) {
    if (isDeepStrictEqual(oldTargets[name], target)) continue;
    problems.push(...targetProblems(`targets.${name}`, plain(oldTargets[name]), plain(target), isOwn));
  }
  for (const name of ['groups', 'rules']) {
    if (isDeepStrictEqual(old[name], now[name])) continue;
    const known = new Set(references(old[name]));
    if (references(now[name]).some((one) => !known.has(one)))
      problems.push(`${name}: only an administrator may refer to the environment or to files`);
  }
  return problems;
}

function targetProblems(path: string, old: Plain, now: Plain, isOwn: (one: string) => boolean): string[] {
  const { type } = now;
  if (typeof type === 'string' && type.startsWith('package:') && old['type'] !== type)
    return [`${path}.type: only an administrator may load a handler from outside`];
  if (!isDeepStrictEqual(localOptions(old), localOptions(now)))
    return [`${path}: only an administrator may name programs, keys and folders of this machine`];
  const known = new Set(references(old));
  const used = references(now);
  if (used.some((one) => !known.has(one) && !isOwn(one)))
    return [
      `${path}: only an administrator may refer to the environment, to files, or to a secret of another target: type the secret`,
    ];
  const moved = places.filter((name) => !isDeepStrictEqual(old[name], now[name]));
  if (used.some((one) => known.has(one)) && moved.length > 0)
    return [`${path}: ${moved.join(', ')} is changed, and its secret would go there: type the secret again`];
  return [];
}

/** Options that run a program, write to a folder or take a key of the machine that dispatches. */
function localOptions(target: Plain): Plain {
  const via = plain(target['via']);
  const { onComplete, spool } = target;
  const keys = tlsFiles(target);
  return {
    onComplete,
    spool,
    programs: [via['rsyncPath'], via['agent'], target['agent']],
    folder: target['type'] === 'folder' ? [target['path'], target['followLinks']] : undefined,
    keys,
  };
}

function tlsFiles(value: unknown, isTls = false): unknown[] {
  return Object.entries(plain(value)).flatMap(([name, inner]) => {
    if (isTls && (name === 'key' || name === 'cert')) return [inner];
    return tlsFiles(inner, name === 'tls');
  });
}

/** Everything that stands for a value from elsewhere, but what was typed just now. */
function references(value: unknown): string[] {
  if (typeof value === 'string') return value.includes('${') ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((one) => references(one));
  if (typeof value !== 'object' || value === null) return [];
  const keys = Object.keys(value);
  if (keys.length === 1 && (keys[0] === 'file' || keys[0] === 'sealed')) return [JSON.stringify(value)];
  return Object.values(value).flatMap((one) => references(one));
}

function plain(value: unknown): Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {};
}
