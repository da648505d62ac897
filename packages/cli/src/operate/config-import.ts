import { resolve } from 'node:path';
import { appliedWords, applyText } from '@dicom-dispatch/operations';
import {
  ConfigError,
  configDigest,
  configValue,
  editConfig,
  locateProblems,
  readText,
  type ConfigurationStore,
} from '@dicom-dispatch/runtime';
import { CommandError, exitCodes } from '../exit.ts';
import { withStore } from '../read-config.ts';
import { openSystem } from './with-system.ts';

/** Options that stay in the file of each host: they locate Redis. */
const ofHosts = ['configuration', 'redis'] as const;

export interface ImportOptions {
  readonly config: string;
  readonly reason?: string;
  /** Also if the configuration in Redis cannot be used. */
  readonly replace?: boolean;
}

/** Prints the configuration in use as YAML; with `configuration: redis` that of all hosts. */
export async function exportNow(options: { readonly config: string }): Promise<void> {
  process.stdout.write((await withStore(options.config, (store) => store.current.read())).text);
}

/** Makes a file the configuration of all hosts. It is applied by all services, or by none. */
export async function importNow(file: string, options: ImportOptions): Promise<void> {
  const act = async (store: ConfigurationStore): Promise<void> => {
    if (store.current.kind === 'file') {
      throw new CommandError(
        `${store.path} is the configuration itself: edit it, or write "configuration: redis" into the file of each host first`,
        exitCodes.usage,
      );
    }
    const path = resolve(file);
    const written = await readText(path);
    const { text, left } = withoutHostOptions(written, path);
    const base = await digestNow(store);
    if (base === configDigest(text)) return void console.log('it is in use already: nothing was changed');
    const config = await store.check(text).catch((error: unknown) => {
      // Positions of the problems in the file, which has additional lines.
      throw error instanceof ConfigError ? new ConfigError(path, locateProblems(written, error.problems)) : error;
    });
    const system = await openSystem(config);
    try {
      const change = { text, base, actor: system.actor, reason: options.reason ?? `imported from ${file}` };
      const done = await system.audited({ action: 'import configuration', subject: '' }, () =>
        applyText({ ...system.operations, store }, change),
      );
      if (left.length > 0) console.log(`left out, since the file of each host has it: ${left.join(', ')}`);
      for (const line of appliedWords(done)) console.log(line);
      if (base === '')
        console.log(
          `Give each host the key ${store.seal.path}, and a file such as ${store.path}; then start the services.`,
        );
    } finally {
      await system.close();
    }
  };
  await withStore(options.config, act, { replacesUnusable: options.replace });
}

/** Digest of the configuration in use; empty if there is none yet. */
async function digestNow(store: ConfigurationStore): Promise<string> {
  return (await store.current.isThere()) ? (await store.current.read()).digest : '';
}

function withoutHostOptions(text: string, file: string): { readonly text: string; readonly left: readonly string[] } {
  try {
    const value = configValue(text);
    const left = ofHosts.filter((name) => typeof value === 'object' && value !== null && Object.hasOwn(value, name));
    return {
      text: editConfig(
        text,
        left.map((name) => ({ kind: 'remove', path: [name] })),
      ),
      left,
    };
  } catch (error) {
    throw new CommandError(`${file} is not YAML: ${(error as Error).message}`, exitCodes.usage, { cause: error });
  }
}
