import { editDraft, hideSecrets, testSource } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import { stringify } from 'yaml';
import { z } from 'zod';
import { editContext, isEditor } from '../configuration/edit-context.ts';
import {
  entriesOf,
  judgeEntry,
  needEntry,
  refuseProblems,
  saveEntry,
  type JudgedEntry,
} from '../configuration/entry-form.ts';
import {
  aboutKind,
  disablableKinds,
  entryKinds,
  kindSpec,
  needKind,
  routeKinds,
} from '../configuration/entry-kinds.ts';
import { lockOut } from '../configuration/lock-out.ts';
import type { ConsoleContext } from '../console-context.ts';
import { check } from '../views/schemas.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';
import { fieldProblems } from './configuration-schemas.ts';

const tags = ['configuration'];
const name = z.string().min(1).max(64);
const params = z.object({
  kind: z.enum(routeKinds),
  name: name.describe('of a section that is there once: its key; of targetDefaults: the type of target'),
});
const form = z.object({
  was: z.string().max(64).optional().describe('its name now; left out for a new one'),
  values: z
    .record(z.string().max(200), z.string().max(64 * 1024))
    .default({})
    .describe('text by dotted path of the option, as it would be typed into the form; empty: the default'),
});
const done = answers(z.object({}));

/** Sources, groups, transforms, users, notifications and single sections of the configuration that is being prepared. */
export function addConfigurationEntryRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/configuration/entries/:kind/:name/check',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Check a part of the configuration as `config check` does, without keeping it',
        params,
        body: form,
        response: answers(fieldProblems),
      },
    },
    async (request) => {
      const { problems, value } = await judge(request);
      return {
        problems: [...problems],
        yaml: stringify({ [request.params.name]: hideSecrets(value) }, { lineWidth: 0 }),
      };
    },
  );

  server.post(
    '/api/configuration/entries/:kind/:name/test',
    {
      config: { access: 'editor', action: 'test' },
      schema: {
        tags,
        summary: 'Try the connection to a source before it is kept, step by step',
        params,
        body: form,
        response: answers(z.object({ passed: z.boolean(), did: z.string(), checks: z.array(check) })),
      },
    },
    async (request) => {
      const { name: source, kind } = request.params;
      if (kind !== 'sources') throw new OperationError('invalid', `${kind} have no connection to test`);
      const { problems, config } = await judge(request);
      refuseProblems(problems, source);
      const configured = config?.sources[source];
      if (!configured)
        throw new OperationError(
          'invalid',
          'something else in the change is wrong: correct it first, see Configuration',
        );
      const checks = [];
      for await (const one of testSource(source, configured)) checks.push({ ...one });
      const passed = checks.every(({ result }) => result !== 'failed');
      request.auditDetail = `before it is saved: ${passed ? 'passed' : 'failed'}`;
      return { passed, did: passed ? 'The source can be used.' : 'The source cannot be used.', checks };
    },
  );

  server.put(
    '/api/configuration/entries/:kind/:name',
    {
      config: { access: 'editor', action: 'prepare configuration' },
      schema: {
        tags,
        summary: 'Put a part into the prepared configuration',
        params,
        body: form.extend({ seen: z.string().max(64).optional().describe('digest of it as it was shown') }),
        response: done,
      },
    },
    async (request) => {
      const { kind } = request.params;
      const { seen } = request.body;
      const { problems } = await judge(request);
      refuseProblems(problems, request.params.name);
      const edit = editContext(context);
      const wish = { who: actorOf(request), isEditor: isEditor(request), seen };
      const { name: named } = request.params;
      await saveEntry(edit, await kindSpec(kind, edit, named), { ...request.body, name: named }, wish);
      return {};
    },
  );

  server.post(
    '/api/configuration/entries/:kind/:name/enabled',
    {
      config: { access: 'editor', action: 'prepare configuration' },
      schema: {
        tags,
        summary: 'Enable or disable a source, user, token, webhook or e-mail in the prepared configuration',
        params: z.object({ kind: z.enum(disablableKinds), name }),
        body: z.object({ enabled: z.boolean() }),
        response: done,
      },
    },
    async (request) => {
      const { kind, name: named } = request.params;
      const { enabled } = request.body;
      needKind(request, kind);
      const { path: above, noun } = aboutKind(kind);
      const path = [...above, named, 'enabled'];
      await editDraft(editContext(context), {
        edits(text) {
          needEntry(entriesOf(text, above), noun, named);
          return [enabled ? { kind: 'remove', path } : { kind: 'set', path, value: false }];
        },
        judge: (before, after) => lockOut(request, before, after),
        what: `${noun} ${named} switched ${enabled ? 'on' : 'off'}`,
        who: actorOf(request),
      });
      request.auditDetail = `${noun}: ${enabled ? 'on' : 'off'}`;
      return {};
    },
  );

  server.post(
    '/api/configuration/entries/:kind/:name/remove',
    {
      config: { access: 'editor', action: 'prepare configuration' },
      schema: {
        tags,
        summary: 'Take a part out of the prepared configuration',
        params: z.object({ kind: z.enum([...entryKinds, 'targetDefaults']), name }),
        response: done,
      },
    },
    async (request) => {
      const { kind, name: removed } = request.params;
      needKind(request, kind);
      const { path, noun } = aboutKind(kind);
      await editDraft(editContext(context), {
        edits(text) {
          needEntry(entriesOf(text, path), noun, removed);
          return [{ kind: 'remove', path: [...path, removed] }];
        },
        judge: (before, after) => lockOut(request, before, after),
        what: `${noun} ${removed} removed`,
        who: actorOf(request),
      });
      request.auditDetail = noun;
      return {};
    },
  );

  /** Problems of a form, including a change that would lock a user out. */
  async function judge(
    request: FastifyRequest<{ Params: z.infer<typeof params>; Body: z.infer<typeof form> }>,
  ): Promise<JudgedEntry> {
    const { kind, name: named } = request.params;
    needKind(request, kind);
    const edit = editContext(context);
    const spec = await kindSpec(kind, edit, named);
    const judged = await judgeEntry(edit, spec, { ...request.body, name: named }, isEditor(request));
    const { text: before } = await edit.store.current.read();
    const locked = lockOut(request, before, judged.text).map((message) => ({ field: '', message }));
    return { ...judged, problems: [...judged.problems, ...locked] };
  }
}
