import { editDraft, hideSecrets, type AfterApply } from '@dicom-dispatch/operations';
import { targetDefaultsOf } from '@dicom-dispatch/core';
import { OperationError } from '@dicom-dispatch/pipeline';
import { configValue } from '@dicom-dispatch/runtime';
import { resolveTarget } from '@dicom-dispatch/targets';
import { stringify } from 'yaml';
import { z } from 'zod';
import { editContext, isEditor } from '../configuration/edit-context.ts';
import { entriesOf, needEntry } from '../configuration/entry-form.ts';
import { judgeTargetForm, saveTargetForm, targetOfForm } from '../configuration/target-form.ts';
import type { ConsoleContext } from '../console-context.ts';
import { check } from '../views/schemas.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';
import { fieldProblems } from './configuration-schemas.ts';

const tags = ['configuration'];
const byName = z.object({ target: z.string().min(1).max(64) });
const form = z.object({
  was: z.string().max(64).optional().describe('present name; absent for a new target'),
  type: z.string().min(1).max(300),
  values: z
    .record(z.string().max(200), z.string().max(64 * 1024))
    .default({})
    .describe('value by dotted path of the option, as typed into the form; empty: the default'),
});
const seen = z.string().max(64).optional().describe('digest of the target as it was shown');
const place = z.enum(['same', 'new']).optional().describe('with a new address: whether the content is the same');
const done = answers(z.object({}));
const longestTestMs = 60_000;

/** Targets of the configuration that is being prepared. */
export function addConfigurationTargetRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/configuration/targets/:target/check',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Check a target as `config check` does, without keeping it',
        params: byName,
        body: form,
        response: answers(fieldProblems),
      },
    },
    async (request) => {
      const wanted = { ...request.body, name: request.params.target };
      const judged = await judgeTargetForm(editContext(context), wanted, isEditor(request));
      return {
        problems: [...judged.problems],
        yaml: stringify({ [wanted.name]: hideSecrets(judged.value) }, { lineWidth: 0 }),
      };
    },
  );

  server.post(
    '/api/configuration/targets/:target/test',
    {
      config: { access: 'editor', action: 'test' },
      schema: {
        tags,
        summary: 'Try the connection to a target before it is kept, step by step',
        params: byName,
        body: form,
        response: answers(z.object({ passed: z.boolean(), checks: z.array(check) })),
      },
    },
    async (request) => {
      const { target: name } = request.params;
      const target = await targetOfForm(editContext(context), { ...request.body, name }, isEditor(request));
      const { config, handler } = await resolveTarget(name, target);
      const checks = [];
      const signal = AbortSignal.timeout(longestTestMs);
      for await (const one of handler.testConnection({ config, targetName: name, signal })) checks.push({ ...one });
      const passed = checks.every(({ result }) => result !== 'failed');
      request.auditDetail = `before it is saved: ${passed ? 'passed' : 'failed'}`;
      return { passed, checks };
    },
  );

  server.put(
    '/api/configuration/targets/:target',
    {
      config: { access: 'editor', action: 'prepare target' },
      schema: {
        tags,
        summary: 'Put a target into the prepared configuration',
        params: byName,
        body: form.extend({ seen, place }),
        response: done,
      },
    },
    async (request) => {
      const { target: name } = request.params;
      const { place: decided } = request.body;
      const after: AfterApply | undefined = decided && {
        act: decided === 'same' ? 'same-place' : 'new-place',
        target: name,
      };
      const wish = { who: actorOf(request), isEditor: isEditor(request), seen: request.body.seen, after };
      await saveTargetForm(editContext(context), { ...request.body, name }, wish);
      return {};
    },
  );

  server.post(
    '/api/configuration/targets/:target/enabled',
    {
      config: { access: 'editor', action: 'prepare target' },
      schema: {
        tags,
        summary: 'Switch a target on or off in the prepared configuration',
        params: byName,
        body: z.object({ enabled: z.boolean() }),
        response: done,
      },
    },
    async (request) => {
      const { target } = request.params;
      const { enabled } = request.body;
      await editDraft(editContext(context), {
        edits(text) {
          needTarget(text, target);
          const path = ['targets', target, 'enabled'];
          const isDefault = enabled === (inherited(text, target)['enabled'] ?? true);
          return [isDefault ? { kind: 'remove', path } : { kind: 'set', path, value: enabled }];
        },
        what: `target ${target} switched ${enabled ? 'on' : 'off'}`,
        who: actorOf(request),
      });
      request.auditDetail = enabled ? 'on' : 'off';
      return {};
    },
  );

  server.post(
    '/api/configuration/targets/:target/remove',
    {
      config: { access: 'editor', action: 'prepare removal of target' },
      schema: {
        tags,
        summary: 'Take a target out of the prepared configuration',
        params: byName,
        body: z.object({
          waiting: z.enum(['keep', 'move', 'cancel']).default('keep').describe('what happens to waiting deliveries'),
          to: z.string().max(64).optional().describe('with move: the target that receives them'),
        }),
        response: done,
      },
    },
    async (request) => {
      const { target } = request.params;
      const { waiting, to } = request.body;
      if (waiting === 'move' && (to === undefined || to === target || !context.config().targets[to]))
        throw new OperationError('invalid', 'name another target that gets what waits');
      const after: AfterApply | undefined =
        waiting === 'move'
          ? { act: 'move', target, to: to ?? '' }
          : waiting === 'cancel'
            ? { act: 'drop', target }
            : undefined;
      await editDraft(editContext(context), {
        edits(text) {
          needTarget(text, target);
          return [{ kind: 'remove', path: ['targets', target] }];
        },
        what: `target ${target} removed`,
        who: actorOf(request),
        ...(after && { after }),
      });
      request.auditDetail = `what waits: ${waiting}${to === undefined ? '' : ` to ${to}`}`;
      return {};
    },
  );
}

/** Values that a target has from `targetDefaults`. */
function inherited(text: string, name: string): Readonly<Record<string, unknown>> {
  return targetDefaultsOf(configValue(text), entriesOf(text, ['targets'])[name]?.['type']);
}

/** @throws OperationError `not-found` */
function needTarget(text: string, name: string): void {
  needEntry(entriesOf(text, ['targets']), 'target', name);
}
