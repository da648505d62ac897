import { isDeepStrictEqual } from 'node:util';
import { targetOptions, withTargetDefaults } from '@dicom-dispatch/core';

type Plain = Readonly<Record<string, unknown>>;

/** Sections that an editor may change. */
export const editableSections: ReadonlySet<string> = new Set(['targets', 'groups', 'rules']);

/**
 * Options of the built-in types that affect neither the address of a target nor its verification. With another
 * value of any other option, a secret could be sent to somebody else; an unknown option is treated as such.
 */
const harmless: ReadonlySet<string> = new Set(
  `
  associationTimeout connectTimeout timeout verifyTimeout bandwidth batch batchBytes blockSize maxPduLength
  minBytesPerSecond minFree partSize maxParallel requestAttempts earlyByte compress delayUpdates fsync
  callingAeTitle calledAeTitle transferSyntaxes transcode retrieve studyInPath writeProbe path layout key prefix marker partialDir temporaryName mode directoryMode
  owner verify existing onConflict rememberPlace conditionalWrites checksum overwrite encryption kmsKeyId
  storageClass tier tags metadata password privateKey passphrase accountKey sasToken secretAccessKey sessionToken
  project subject session destination triggerPipelines username
`
    .trim()
    .split(/\s+/),
);

/**
 * Why a user with the role `editor` may not make a change: sections of administrators, and secrets of others. Editors may use
 * secrets that they enter; an existing secret must stay in its option, and must not be sent to another address.
 *
 * @param before - the configuration as written
 * @param after - the new one
 * @param typed - sealed secrets that were just entered; default: those that are not in `before`
 */
export function editorProblems(before: unknown, after: unknown, typed?: ReadonlySet<string>): string[] {
  const [old, now] = [plain(before), plain(after)];
  const problems: string[] = [];
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (!editableSections.has(name) && !isDeepStrictEqual(old[name], now[name]))
      problems.push(`${name}: only an administrator may change this section`);
  }
  const sealed = new Set(references(before).map(({ text }) => text));
  const isOwn = (one: string): boolean => {
    const text = /^\{"sealed":"([^"]+)"\}$/.exec(one)?.[1];
    return text !== undefined && (typed ? typed.has(text) : !sealed.has(one));
  };
  // With the values of `targetDefaults`: a secret from there must not be sent to another address either.
  const [oldTargets, newTargets] = [targetsOf(before), targetsOf(after)];
  for (const [name, target] of Object.entries(newTargets)) {
    if (isDeepStrictEqual(oldTargets[name], target)) continue;
    problems.push(...targetProblems(`targets.${name}`, plain(oldTargets[name]), plain(target), isOwn));
  }
  for (const name of ['groups', 'rules']) {
    if (isDeepStrictEqual(old[name], now[name])) continue;
    const isKnown = knownOf(old[name]);
    if (references(now[name]).some((one) => !isKnown(one)))
      problems.push(`${name}: only an administrator may refer to the environment or to files`);
  }
  return problems;
}

function targetsOf(raw: unknown): Plain {
  return plain(plain(withTargetDefaults(raw))['targets']);
}

function targetProblems(path: string, old: Plain, now: Plain, isOwn: (one: string) => boolean): string[] {
  const { type } = now;
  if (typeof type === 'string' && type.startsWith('package:') && old['type'] !== type)
    return [`${path}.type: only an administrator may load an external handler`];
  if (!isDeepStrictEqual(localOptions(old), localOptions(now)))
    return [`${path}: only an administrator may set programs, files and folders on this host`];
  const isKnown = knownOf(old);
  const used = references(now);
  if (used.some((one) => !isKnown(one) && !isOwn(one.text)))
    return [
      `${path}: only an administrator may refer to the environment, to files, or to the secret of another target or option: enter the secret`,
    ];
  const moved = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter(
    (name) => isPlace(name, String(type)) && !isDeepStrictEqual(old[name], now[name]) && !isSealed(now[name]),
  );
  if (used.some((one) => isKnown(one)) && moved.length > 0)
    return [`${path}: ${moved.join(', ')} is changed, and the secret would be sent there: enter the secret again`];
  return [];
}

/** The meaning of options of an external type is unknown. */
function isPlace(name: string, type: string): boolean {
  if (Object.hasOwn(targetOptions, name)) return false;
  return type.startsWith('package:') || !harmless.has(name);
}

/** Options that run a program, write to a folder or name a file of the machine that dispatches. */
function localOptions(target: Plain): Plain {
  const via = plain(target['via']);
  const { onComplete, spool } = target;
  return {
    onComplete,
    spool,
    programs: [via['rsyncPath'], via['agent'], target['agent']],
    folder: target['type'] === 'folder' ? [target['path'], target['followLinks']] : undefined,
    files: namedFiles(target),
  };
}

const fileOptions: Readonly<Record<string, readonly string[]>> = {
  tls: ['ca', 'cert', 'key'],
  hostKey: ['knownHosts'],
};

/** Options that name files, by their dotted paths: a response would reveal whether such a file exists. */
function namedFiles(value: unknown, path: readonly string[] = []): Readonly<Record<string, unknown>> {
  const names = fileOptions[path.at(-1) ?? ''] ?? [];
  return Object.assign(
    {},
    ...Object.entries(plain(value)).map(([name, inner]) =>
      names.includes(name) ? { [[...path, name].join('.')]: inner } : namedFiles(inner, [...path, name]),
    ),
  ) as Readonly<Record<string, unknown>>;
}

interface Reference {
  /** Keys of its path as JSON; in a list of named entries their names. */
  readonly path: string;
  readonly text: string;
}

/** Whether a reference is in a value, at the same path: at another path its content could be shown. */
function knownOf(value: unknown): (one: Reference) => boolean {
  const known = new Set(references(value).map(({ path, text }) => `${path} ${text}`));
  return ({ path, text }) => known.has(`${path} ${text}`);
}

/** All references to values that are stored elsewhere. */
function references(value: unknown, path: readonly string[] = []): Reference[] {
  const at = JSON.stringify(path);
  if (typeof value === 'string') return value.includes('${') ? [{ path: at, text: value }] : [];
  if (isReference(value)) return [{ path: at, text: JSON.stringify(value) }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => {
    const { name } = Array.isArray(value) ? plain(one) : {};
    return references(one, [...path, typeof name === 'string' ? `name ${name}` : key]);
  });
}

/** Whether it is `{ file: … }` or `{ sealed: … }`. */
function isReference(value: unknown): boolean {
  const [key, ...others] = Object.keys(plain(value));
  return others.length === 0 && (key === 'file' || key === 'sealed');
}

function isSealed(value: unknown): boolean {
  return isReference(value) && Object.hasOwn(plain(value), 'sealed');
}

function plain(value: unknown): Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {};
}
