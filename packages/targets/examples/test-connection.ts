import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveTarget } from '@dicom-dispatch/targets';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

const path = await mkdtemp(join(tmpdir(), 'archive-'));

// The options of a target as in a configuration; `parse` throws for each option that is wrong.
const options = targetSchemas.folder.parse({ type: 'folder', path });
const { config, handler } = await resolveTarget('archive', options);

const context = { config, targetName: 'archive', signal: AbortSignal.timeout(30_000) };
for await (const { name, result } of handler.testConnection(context)) console.log(name, result);

await rm(path, { recursive: true });
