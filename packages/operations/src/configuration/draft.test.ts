import { parseConfig, type TargetSchema } from '@dicom-dispatch/core';
import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, openFileStore, openStore, type Redis } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { appliedWords, applyDraft } from './apply-draft.ts';
import {
  discardDraft,
  draftDigest,
  editDraft,
  readDraft,
  replaceDraft,
  type AfterApply,
  type ConfigDraft,
  type DraftContext,
} from './draft.ts';

const schemas = Object.values(targetSchemas) as unknown as TargetSchema[];
const anna = { name: 'anna' };
const text = `sources:
  main: { url: http://127.0.0.1:1 }
targets:
  pacs: { type: dicom, host: old, port: 104, calledAeTitle: PACS }
  copy: { type: dummy }
rules:
  - { name: one, targets: [pacs] }
  - { name: two, targets: [copy] }
`;

let server: RedisServer;
let redis: Redis;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let operations: PipelineContext;
let context: DraftContext;

beforeAll(async () => {
  [server, folder] = await Promise.all([startRedis({ appendonly: false }), tempFolder('draft')]);
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'fatal', format: 'json' }));
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { copy: { type: 'dummy' } } },
    schemas,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  operations = openPipeline(parsed.config, redis);
  const path = join(folder.path, 'dispatch.yaml');
  context = { ...operations, store: openFileStore(path, { targetSchemas: schemas, env: {} }) };
});
beforeEach(async () => {
  await redis.flushall();
  await writeFile(context.store.path, text);
});
afterAll(async () => {
  await operations?.close();
  redis?.disconnect();
  await server?.stop();
  await folder?.remove();
});

function move(host: string, after?: AfterApply): Promise<ConfigDraft> {
  return editDraft(context, {
    edits: [
      { kind: 'set', path: ['targets', 'pacs'], value: { type: 'dicom', host, port: 104, calledAeTitle: 'PACS' } },
    ],
    what: `pacs to ${host}`,
    who: anna,
    ...(after && { after }),
  });
}

const samePlace: AfterApply = { act: 'same-place', target: 'pacs' };
const apply = (draft: ConfigDraft, to: DraftContext = context) =>
  applyDraft(to, { actor: anna, isEditor: false, reason: '', seen: draftDigest(draft) });

describe('what is decided about deliveries', () => {
  it('ends when the address of the target changes again', async () => {
    expect((await move('new', samePlace)).after).toEqual([samePlace]);
    expect((await move('elsewhere')).after).toEqual([]);
  });

  it('ends when the target is renamed, removed or put back', async () => {
    await move('new', samePlace);
    const renamed = { edits: [{ kind: 'rename', path: ['targets', 'pacs'], name: 'archive' }] } as const;
    expect((await editDraft(context, { ...renamed, what: 'renamed', who: anna })).after).toEqual([]);
    const drop: AfterApply = { act: 'drop', target: 'copy' };
    const removal = { edits: [{ kind: 'remove', path: ['targets', 'copy'] }], after: drop } as const;
    expect((await editDraft(context, { ...removal, what: 'removed', who: anna })).after).toEqual([drop]);
    const back = { edits: [{ kind: 'set', path: ['targets', 'copy'], value: { type: 'dummy' } }] } as const;
    expect((await editDraft(context, { ...back, what: 'added', who: anna })).after).toEqual([]);
  });

  it('stays when another target is edited, or it is only disabled', async () => {
    await move('new', samePlace);
    for (const path of [
      ['targets', 'copy', 'enabled'],
      ['targets', 'pacs', 'enabled'],
    ]) {
      const edited = await editDraft(context, { edits: [{ kind: 'set', path, value: false }], what: 'off', who: anna });
      expect(edited.after).toEqual([samePlace]);
    }
  });

  it('ends when the draft is edited as YAML, or the target manually', async () => {
    const moved = await move('new', samePlace);
    const replaced = { text: moved.text.replace('new', 'elsewhere'), what: 'YAML', who: anna };
    expect((await replaceDraft(context, { ...replaced, seen: draftDigest(moved) })).after).toEqual([]);

    const spread = text.replace(
      / {2}pacs: .*\n/,
      '  pacs:\n    type: dicom\n    host: old\n\n    # port\n    port: 104\n',
    );
    await redis.flushall();
    await writeFile(context.store.path, spread);
    const edits = [{ kind: 'set', path: ['targets', 'pacs', 'host'], value: 'new' }] as const;
    await editDraft(context, { edits, what: 'host', who: anna, after: samePlace });
    await writeFile(context.store.path, spread.replace('# port', '# the port'));
    expect((await readDraft(context))?.after).toEqual([samePlace]);
    await writeFile(context.store.path, spread.replace('port: 104', 'port: 105'));
    const draft = await readDraft(context);
    expect(draft?.text).toMatch(/host: new[^]*port: 105/);
    expect(draft?.after).toEqual([]);
  });

  it('is applied only as it was seen', async () => {
    const seen = await move('new');
    await move('new', samePlace);
    await expect(apply(seen)).rejects.toMatchObject({ code: 'conflict' });
    expect(await readFile(context.store.path, 'utf8')).toBe(text);
  });
});

describe('a draft that is applied', () => {
  /** Another user stores a change while the services check the draft. */
  const meanwhile = (act: () => Promise<unknown>): DraftContext => {
    const { store } = context;
    const check: typeof store.check = async (candidate) => {
      await act();
      return store.check(candidate);
    };
    return { ...context, store: { ...store, check } };
  };
  const addTarget = (name: string) => ({
    edits: [{ kind: 'set', path: ['targets', name], value: { type: 'dummy' } }] as const,
    what: `target ${name} added`,
    who: { name: 'otto' },
  });

  it('is removed', async () => {
    await apply(await editDraft(context, addTarget('third')));
    expect(await readFile(context.store.path, 'utf8')).toContain('third');
    expect(await readDraft(context)).toBeUndefined();
  });

  it('preserves changes of other users in the meantime, also in the next line', async () => {
    const drop: AfterApply = { act: 'drop', target: 'pacs' };
    const seen = await editDraft(context, { ...addTarget('third'), after: drop });
    await apply(
      seen,
      meanwhile(() => editDraft(context, addTarget('fourth'))),
    );
    const now = await readFile(context.store.path, 'utf8');
    expect(now).toContain('third');
    expect(now).not.toContain('fourth');
    const left = await readDraft(context);
    expect(left).toMatchObject({ changes: [{ what: 'target fourth added' }], after: [], baseText: now });
    expect(left?.text).toMatch(/third[^]*fourth/);
  });

  it('preserves another draft that was begun in the meantime', async () => {
    const seen = await editDraft(context, addTarget('third'));
    await apply(
      seen,
      meanwhile(async () => {
        const draft = await readDraft(context);
        await discardDraft(context, draft ? draftDigest(draft) : '');
        await editDraft(context, { edits: [{ kind: 'remove', path: ['rules', 1] }], what: 'removed', who: anna });
      }),
    );
    const left = await readDraft(context);
    expect(left?.text).toContain('third');
    expect(left?.text).not.toContain('name: two');
  });
});

describe('the result of an applied change', () => {
  const applied = { version: 7, answered: 2, silent: [], notes: [] };

  it('never claims that all processes use it if one has not responded, or none runs', () => {
    expect(appliedWords(applied)).toEqual(['All services use version 7.']);
    const silent = appliedWords({ ...applied, silent: ['router (host-1)'], notes: ['copy: 3 cancelled'] });
    expect(silent).toEqual([
      'Version 7 is in use, but not confirmed by router (host-1): restart each process that still does not respond.',
      'copy: 3 cancelled',
    ]);
    expect(appliedWords({ ...applied, answered: 0 })[0]).toMatch(/^Version 7 is in place. No service is running/);
    expect(appliedWords({ ...applied, version: undefined })[0]).toBe('All services use the change.');
  });

  it('is true where no service runs', async () => {
    const edit = { edits: [{ kind: 'remove', path: ['rules', 1] }], what: 'removed', who: anna } as const;
    expect(await apply(await editDraft(context, edit))).toMatchObject({ answered: 0, silent: [] });
  });

  it('distinguishes Redis from the file, and reports no change only if there was none', async () => {
    const draft = await editDraft(context, { edits: [{ kind: 'remove', path: ['rules', 1] }], what: 'x', who: anna });
    const offer = vi.spyOn(context.store.current, 'offer');
    offer.mockRejectedValueOnce(Object.assign(new Error('lost'), { code: 'ECONNRESET' }));
    await expect(apply(draft)).rejects.toThrow('Redis cannot be reached (ECONNRESET): nothing was changed');
    offer.mockRejectedValueOnce(Object.assign(new Error('read-only'), { code: 'EROFS', path: '/etc/x' }));
    await expect(apply(draft)).rejects.toThrow('/etc/x cannot be changed (EROFS): nothing was changed');
    vi.spyOn(context.redis, 'incr').mockRejectedValueOnce(new Error('lost'));
    await expect(apply(draft)).rejects.toThrow(
      /started, but could be neither applied nor undone[^]*the file is changed/,
    );
    vi.restoreAllMocks();
  });
});

describe('with the configuration in Redis', () => {
  it('takes no draft that was not written by a console of this installation', async () => {
    const file = join(folder.path, 'host.yaml');
    await writeFile(file, `configuration: redis\nredis: { url: '${server.url}' }\n`);
    const connect = (): Redis => redis.duplicate();
    const store = await openStore(file, { targetSchemas: schemas, env: {}, connect });
    const inRedis = { ...context, store };
    try {
      await store.current.offer('first', text);
      expect(await store.current.commit('first', '', { author: 'anna', reason: 'import' })).toBe(true);
      const edits = [{ kind: 'set', path: ['targets', 'pacs', 'host'], value: 'new' }] as const;
      await editDraft(inRedis, { edits, what: 'pacs to new', who: anna });
      expect((await readDraft(inRedis))?.text).toContain('host: new');
      const kept = (await redis.get(operations.keys.configurationDraft)) ?? '';
      const forged = [
        kept.replaceAll('host: new', 'host: evil'),
        kept.slice(kept.indexOf('{')),
        `\n${kept}`,
        '{}',
        'x',
      ];
      for (const other of forged) {
        await redis.set(operations.keys.configurationDraft, other);
        expect(await readDraft(inRedis)).toBeUndefined();
      }
      const [last] = (await editDraft(inRedis, { edits, what: 'again', who: anna })).changes;
      expect(last?.what).toBe('again');
    } finally {
      store.close();
    }
  });
});
