import {
  appliedWords,
  applyDraft,
  discardDraft,
  previewDraft,
  readDraft,
  replaceDraft,
  restoreVersion,
} from '@dicom-dispatch/operations';
import { unifiedDiff } from '@dicom-dispatch/runtime';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { editContext, isEditor, needEditing, whyNoEditing } from '../configuration/edit-context.ts';
import { lockOut } from '../configuration/lock-out.ts';
import { judgeAs } from '../configuration/judge-as.ts';
import { shownText } from '../configuration/shown-text.ts';
import { showDraft } from '../configuration/show-draft.ts';
import { showPreview } from '../configuration/show-preview.ts';
import type { ConsoleContext } from '../console-context.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';
import {
  appliedChange,
  draftPreview,
  configVersionFacts,
  configVersionView,
  configurationView,
  draftView,
} from './configuration-schemas.ts';

const tags = ['configuration'];
const reason = z.string().trim().max(200).default('');
const seen = z.string().max(64).describe('`seen` of the change that was looked at');
const maxTextLength = 2 * 1024 * 1024;

/** The configuration as written, its versions, and the change that is being prepared. */
export function addConfigurationDraftRoutes(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/api/configuration',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'The configuration as it is written; for editors targets, groups and rules, without plain secrets',
        response: answers(configurationView),
      },
    },
    async (request) => {
      const { store } = editContext(context);
      const { text, digest } = await store.current.read();
      return {
        file: store.current.title,
        digest,
        text: shownText(request, text),
        editing: whyNoEditing(context) === undefined,
      };
    },
  );

  server.get(
    '/api/configuration/versions',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Versions of the configuration, the newest first',
        querystring: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) }),
        response: answers(z.object({ versions: z.array(configVersionFacts) })),
      },
    },
    async ({ query }) => ({ versions: await editContext(context).store.versions.list(query.limit) }),
  );

  const byNumber = z.object({ version: z.coerce.number().int().min(1) });
  server.get(
    '/api/configuration/versions/:version',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'One version, with what it changed',
        params: byNumber,
        querystring: z.object({
          against: z.coerce.number().int().min(0).optional().describe('default: the previous one'),
        }),
        response: answers(configVersionView),
      },
    },
    async (request) => {
      const { params, query } = request;
      const { versions, current } = editContext(context).store;
      const version = await versions.read(params.version);
      if (!version) throw new OperationError('not-found', `there is no version ${params.version}`);
      const other = await versions.read(query.against ?? params.version - 1);
      const [before, text] = [shownText(request, other?.text ?? ''), shownText(request, version.text)];
      return { ...version, text, patch: unifiedDiff(current.fileName, before, text) };
    },
  );

  server.post(
    '/api/configuration/versions/:version/restore',
    {
      config: { access: 'administrator', action: 'restore configuration' },
      schema: {
        tags,
        summary: 'Let all services go by a former version again, or none',
        params: byNumber,
        body: z.object({ reason }).default({ reason: '' }),
        response: answers(appliedChange),
      },
    },
    async (request) => {
      needEditing(context);
      const wish = { actor: actorOf(request), reason: request.body.reason };
      const edit = editContext(context);
      const version = await edit.store.versions.read(request.params.version);
      if (version) refuseLockOut(request, (await edit.store.current.read()).text, version.text);
      const done = await restoreVersion(edit, request.params.version, wish);
      request.auditDetail = done.version === undefined ? '' : `as version ${done.version}`;
      return { ...done, silent: [...done.silent], notes: [...done.notes], words: appliedWords(done) };
    },
  );

  server.get(
    '/api/configuration/draft',
    {
      config: { access: 'editor' },
      schema: { tags, summary: 'The change that is being prepared', response: answers(draftView) },
    },
    async (request) => {
      const shown = await showDraft(editContext(context), request);
      if (!shown) throw new OperationError('not-found', 'there is no change');
      return shown;
    },
  );

  server.put(
    '/api/configuration/draft',
    {
      config: { access: 'administrator', action: 'prepare configuration' },
      schema: {
        tags,
        summary: 'Give the prepared configuration another text',
        body: z.object({
          text: z.string().max(maxTextLength),
          seen: z
            .string()
            .max(64)
            .describe(
              '`seen` of the change that the text was made from; without a change, digest of the configuration',
            ),
        }),
        response: answers(draftView),
      },
    },
    async (request) => {
      // A user who sees only a part of the text cannot submit all of it.
      if (isEditor(request)) needEditing(context);
      const edit = editContext(context);
      const what = 'edited as YAML';
      await replaceDraft(edit, { ...request.body, what, who: actorOf(request) });
      request.auditDetail = what;
      const shown = await showDraft(edit, request);
      if (!shown) throw new OperationError('not-found', 'it is what is in use: there is no change');
      return shown;
    },
  );

  server.post(
    '/api/configuration/draft/discard',
    {
      config: { access: 'editor', action: 'discard configuration' },
      schema: { tags, summary: 'Discard the change', body: z.object({ seen }), response: answers(z.object({})) },
    },
    async (request) => {
      const discarded = await discardDraft(editContext(context), request.body.seen);
      request.auditDetail = discarded?.changes.map(({ what }) => what).join('; ') ?? '';
      return {};
    },
  );

  server.post(
    '/api/configuration/draft/preview',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'What the changed rules would have done with studies of the last days; nothing is sent',
        body: z.object({ days: z.number().int().min(1).max(90).default(7) }).default({ days: 7 }),
        response: answers(draftPreview),
      },
    },
    async (request) => {
      const { body } = request;
      const edit = editContext(context);
      const draft = await readDraft(edit);
      if (!draft) throw new OperationError('not-found', 'there is no change');
      const { baseText: before, text } = draft;
      const { config, foreign } = await judgeAs(edit.store, { before, text, isEditor: isEditor(request) });
      if (foreign.length > 0)
        throw new OperationError('conflict', `an administrator has to look at this: ${foreign.join('; ')}`);
      if (!config)
        throw new OperationError('invalid', 'the change cannot be used: correct what is wrong with it first');
      if (!context.lookup.showsPatientData) return showPreview(undefined);
      const since = Date.now() - body.days * 86_400_000;
      const open = (source: string): ReturnType<typeof context.lookup.client> => context.lookup.client(source);
      return showPreview(await previewDraft(context.operations, config, open, since));
    },
  );

  server.post(
    '/api/configuration/draft/apply',
    {
      config: { access: 'editor', action: 'apply configuration' },
      schema: {
        tags,
        summary: 'Let all services go by the change, or none',
        body: z.object({ reason, seen }),
        response: answers(appliedChange),
      },
    },
    async (request) => {
      needEditing(context);
      const edit = editContext(context);
      const draft = await readDraft(edit);
      if (draft) refuseLockOut(request, draft.baseText, draft.text);
      const words = draft?.changes.map(({ what }) => what).join('; ') ?? '';
      const wish = {
        actor: actorOf(request),
        isEditor: isEditor(request),
        seen: request.body.seen,
        reason: request.body.reason === '' ? words : request.body.reason,
      };
      request.auditDetail = words;
      const done = await applyDraft(edit, wish);
      if (done.version !== undefined) request.auditDetail = `version ${done.version}: ${words}`;
      return { ...done, silent: [...done.silent], notes: [...done.notes], words: appliedWords(done) };
    },
  );
}

/** @throws OperationError `conflict` */
function refuseLockOut(request: Pick<FastifyRequest, 'identity'>, before: string, after: string): void {
  const why = lockOut(request, before, after);
  if (why.length > 0) throw new OperationError('conflict', why.join('\n'));
}
