import { createHash } from 'node:crypto';
import type { TargetConfig } from './target-options.ts';

/** The place of a target: the part of its configuration that determines where its instances are stored. No secrets. */
export interface TargetPlace {
  /** Hash of the facts: equal for equal facts. */
  readonly id: string;
  readonly facts: Readonly<Record<string, string>>;
  /** Name that the configuration gives to the place itself (`identity`). */
  readonly identity?: string;
}

/** Options that determine the address, in display order; for external handlers those with these names. */
const whereOptions: Readonly<Record<string, readonly string[]>> = {
  azure: ['account', 'endpoint', 'container', 'prefix'],
  dicom: ['host', 'port', 'calledAeTitle'],
  'dicom-tls': ['host', 'port', 'calledAeTitle'],
  dicomweb: ['url', 'stowUrl'],
  dummy: [],
  folder: ['path'],
  orthanc: ['url'],
  rsync: ['username', 'host', 'port', 'module', 'path'],
  s3: ['endpoint', 'bucket', 'prefix'],
  sftp: ['username', 'host', 'port', 'path'],
  xnat: ['url', 'project'],
};
const commonOptions = [
  'url',
  'endpoint',
  'account',
  'server',
  'host',
  'address',
  'port',
  'calledAeTitle',
  'aeTitle',
  'bucket',
  'container',
  'database',
  'project',
  'share',
  'path',
  'directory',
  'folder',
];
/** Those of `commonOptions` that the first ids did not include. */
const laterOptions = new Set(['account', 'server', 'aeTitle', 'container', 'project', 'share', 'directory']);

/** TLS or not, it is the same receiver. */
const families: Readonly<Record<string, string>> = { 'dicom-tls': 'dicom' };

/** The address of a target according to its configuration. */
export function targetPlace(config: TargetConfig): TargetPlace {
  const own = config as unknown as Readonly<Record<string, unknown>>;
  // The address of an rsync server includes port, user and module.
  const via = (own['via'] ?? {}) as Readonly<Record<string, unknown>>;
  const names = whereOptions[config.type] ?? commonOptions;
  const facts = Object.fromEntries([
    ['type', families[config.type] ?? config.type],
    ...names.flatMap((name) => {
      const value = own[name] ?? via[name];
      return value === undefined || typeof value === 'object' ? [] : [[name, normalized(name, String(value))] as const];
    }),
  ]) as Record<string, string>;
  // An id of the present options never equals one of the first: see `firstId`.
  const id = isExternal(facts) ? hashOf([...Object.entries(facts).sort(), 2]) : hashOf(Object.entries(facts).sort());
  return { id, facts, ...(config.identity !== undefined && { identity: config.identity }) };
}

/** The id that the first versions stored for a place, with fewer options of external targets in it. */
export function firstId({ facts }: Pick<TargetPlace, 'facts'>): string {
  const first = Object.entries(facts).filter(([name]) => !isExternal(facts) || !laterOptions.has(name));
  return hashOf(first.sort());
}

function isExternal({ type = '' }: TargetPlace['facts']): boolean {
  return !Object.hasOwn(whereOptions, type);
}

function hashOf(content: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
}

/** The place in one line: `dicom pacs.example:104 PACS`. */
export function describePlace({ facts, identity }: Pick<TargetPlace, 'facts' | 'identity'>): string {
  const { type = '', username, host, port, ...others } = facts;
  const user = username === undefined ? '' : `${username}@`;
  const server = host === undefined ? [] : [`${user}${host}${port === undefined ? '' : `:${port}`}`];
  const text = [type, ...server, ...Object.values(others)].join(' ');
  return identity === undefined ? text : `${text} (${identity})`;
}

function normalized(name: string, value: string): string {
  if (name === 'host') return value.toLowerCase().replace(/\.$/, '');
  if (!/url|endpoint/i.test(name) || !URL.canParse(value))
    return name === 'path' ? value.replace(/(?<=.)\/+$/, '') : value;
  const url = new URL(value);
  url.username = '';
  url.password = '';
  url.search = '';
  return url.href.replace(/\/+$/, '');
}
