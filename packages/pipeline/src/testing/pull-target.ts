import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, TargetConfig } from '@dicom-dispatch/core';
import { tempFolder } from '@dicom-dispatch/harness';
import type { Puller } from '@dicom-dispatch/target-kit';

export interface PullTargets extends AsyncDisposable {
  /** A configuration with these targets, and with `files`, a target that cannot be searched. */
  with(targets: Readonly<Record<string, Partial<Puller<TargetConfig>>>>): Config;
}

const moduleText = `
export const handler = {
  contractVersion: 1,
  type: 'made',
  schema: { safeParse: (data) => ({ success: true, data }) },
  deliver: async () => {},
  testConnection: async function* () {},
  pull: {
    find: (query, context) => context.config.puller.find(query, context),
    retrieve: (request, context) => context.config.puller.retrieve(request, context),
  },
};
`;

/** Targets that find and retrieve as a test defines: a handler from outside that a configuration names. */
export async function openPullTargets(): Promise<PullTargets> {
  const folder = await tempFolder('pull-targets');
  const path = join(folder.path, 'handler.mjs');
  await writeFile(path, moduleText);
  return {
    with(targets) {
      const made = Object.entries(targets).map(
        ([name, puller]) => [name, { type: `package:${path}`, puller }] as const,
      );
      return { sources: {}, targets: { ...Object.fromEntries(made), files: { type: 'folder' } } } as never;
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}
