import { realpath, stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Config, Problem } from '@dicom-dispatch/core';
import { dueWords, pemFiles, readPem, validityOf } from './pem-files.ts';

/**
 * Files and folders of a configuration that are missing on this machine: certificates, persistent folders.
 * They may exist on another machine.
 */
export async function machineWarnings(config: Config): Promise<Problem[]> {
  return (await Promise.all([missingFiles(config), missingPlaces(config), volatileFolders(config)])).flat();
}

async function missingFiles(config: Config): Promise<Problem[]> {
  const problems = await Promise.all(
    pemFiles(config).map(async ({ path, file }): Promise<Problem[]> => {
      try {
        const why = whyNoPem(path.at(-1) ?? '', await readPem(file));
        return why === undefined ? [] : [{ path, message: `${file} ${why}` }];
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const why =
          code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'is not readable' : `cannot be read (${code})`;
        const message = `${file} ${why} on this host: correct the path, or give the user of the service access`;
        return [{ path, message }];
      }
    }),
  );
  return problems.flat();
}

/** Folders and programs that have to exist, and files with the keys of SSH servers. */
async function missingPlaces({ sources, targets, redis }: Config): Promise<Problem[]> {
  const places: { path: string[]; place: string; kind: 'file' | 'folder' }[] = [];
  for (const [name, { storageFolder }] of Object.entries(sources))
    if (typeof storageFolder === 'string')
      places.push({ path: ['sources', name, 'storageFolder'], place: storageFolder, kind: 'folder' });
  for (const [name, target] of Object.entries(targets)) {
    const at = ['targets', name];
    const own = target as unknown as MaybePlaces;
    if (target.type === 'folder' && own.path !== undefined)
      places.push({ path: [...at, 'path'], place: own.path, kind: 'folder' });
    for (const [within, hostKey] of [
      [[], own.hostKey],
      [['via'], own.via?.hostKey],
    ] as const)
      if (hostKey?.knownHosts !== undefined)
        places.push({ path: [...at, ...within, 'hostKey', 'knownHosts'], place: hostKey.knownHosts, kind: 'file' });
    const command = own.onComplete?.command;
    if (command?.startsWith('/')) places.push({ path: [...at, 'onComplete', 'command'], place: command, kind: 'file' });
  }
  const missing = await Promise.all(
    places.map(async ({ path, place, kind }): Promise<Problem[]> => {
      const why = await whyNotThere(place, kind);
      return why === undefined ? [] : [{ path, message: `${place} ${why}` }];
    }),
  );
  const dataFolder = await stat(redis.dataFolder).catch(() => undefined);
  const isFile = dataFolder?.isDirectory() === false;
  return [
    ...missing.flat(),
    ...(isFile
      ? [{ path: ['redis', 'dataFolder'], message: `${redis.dataFolder} is not a folder: name another one` }]
      : []),
  ];
}

interface MaybePlaces {
  readonly path?: string;
  readonly hostKey?: { readonly knownHosts?: string };
  readonly via?: { readonly hostKey?: { readonly knownHosts?: string } };
  readonly onComplete?: { readonly command?: string };
}

async function whyNotThere(place: string, kind: 'file' | 'folder'): Promise<string | undefined> {
  try {
    const isFolder = (await stat(place)).isDirectory();
    return isFolder === (kind === 'folder') ? undefined : `is not a ${kind} on this host: correct the path`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    // A share that is not mounted is reported as such.
    if (kind === 'folder' && isMountPlace.test(place)) return undefined;
    return `does not exist on this host: ${kind === 'folder' ? 'create the folder, or mount it' : 'correct the path'}`;
  }
}

const damaged = 'has a certificate that cannot be read: it is damaged';

/** Problem of a file that should contain a certificate, or a private key. */
function whyNoPem(option: string, text: string): string | undefined {
  if (option === 'key') {
    if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return undefined;
    return 'has no private key in PEM form ("-----BEGIN PRIVATE KEY-----"): name the file of the key';
  }
  if (!/-----BEGIN (TRUSTED )?CERTIFICATE-----/.test(text)) {
    return 'has no certificate in PEM form ("-----BEGIN CERTIFICATE-----"): convert it, or name another file';
  }
  try {
    const validity = validityOf(option, text);
    if (!validity) return damaged;
    const why = dueWords(validity, Date.now());
    if (why === undefined) return undefined;
    const remedy = why.startsWith('is not') ? 'check the clock of this host, or use another one' : 'renew it';
    return `has a certificate that ${why}: ${remedy}`;
  } catch {
    return damaged;
  }
}

/** `f_type` of statfs(2). */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const ofContainer: ReadonlySet<number> = new Set([0x794c7630]);

/** Targets whose folder is the root, in memory or in a container layer, or an unmounted mount point. */
async function volatileFolders(config: Config): Promise<Problem[]> {
  const folders = Object.entries(config.targets).flatMap(([name, target]) => {
    const { path } = target as { readonly path?: unknown };
    return target.type === 'folder' && typeof path === 'string' ? [{ name, path }] : [];
  });
  const problems = await Promise.all(
    folders.map(async ({ name, path }): Promise<Problem[]> => {
      const why = await whyNotKept(path);
      return why === undefined ? [] : [{ path: ['targets', name, 'path'], message: why }];
    }),
  );
  return problems.flat();
}

async function whyNotKept(path: string): Promise<string | undefined> {
  if (resolve(path) === '/') {
    return `${path} is the root of the file system: studies would be written among the folders of the system; use a folder of their own, e.g. below /srv`;
  }
  const folder = await nearestFolder(path);
  const { type } = await statfs(folder);
  if (inMemory.has(type))
    return `${path} is in memory (tmpfs): files delivered there are lost after a restart; use a disk`;
  if (ofContainer.has(type)) {
    return `${path} is in the container's own layer: files delivered there are lost with the container; mount a volume there`;
  }
  if (!isMountPlace.test(path)) return undefined;
  const [there, root] = await Promise.all([stat(folder), stat('/')]);
  if (there.dev !== root.dev) return undefined;
  return `${path} is on the system disk and not on a mount: mount the share, or use another folder if the system disk is intended`;
}

const isMountPlace = /^\/(mnt|media|net|nfs|srv\/nas|Volumes)\//;

async function nearestFolder(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    try {
      return await realpath(at);
    } catch {
      if (at === dirname(at)) return '/';
    }
  }
}
