import { editDraft } from '@dicom-dispatch/operations';
import { completeWord, simpleOperators, writeConditions } from '@dicom-dispatch/core';
import { stringify } from 'yaml';
import { z } from 'zod';
import { editContext, isEditor } from '../configuration/edit-context.ts';
import { indexOfRule, judgeRuleForm, rulesOf, saveRuleForm } from '../configuration/rule-form.ts';
import { tryRule } from '../configuration/try-rule.ts';
import type { ConsoleContext } from '../console-context.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';
import { fieldProblems, triedRule } from './configuration-schemas.ts';

const tags = ['configuration'];
const byName = z.object({ rule: z.string().min(1).max(64) });
const form = z.object({
  was: z.string().max(64).optional().describe('present name; absent for a new rule'),
  values: z
    .record(z.string().max(200), z.string().max(64 * 1024))
    .default({})
    .describe('value by dotted path of the option, as typed into the form; empty: the default'),
});
const conditions = z.object({
  join: z.enum(['all', 'any']),
  conditions: z
    .array(
      z.object({
        subject: z.string().regex(/^(modality|age|hour|source|(study|origin)\.[A-Za-z][A-Za-z0-9]{0,63})$/),
        operator: z.enum(simpleOperators),
        value: z.string().max(200),
      }),
    )
    .max(30),
});
/** An expression, or conditions that are written as one. */
export const tryBody = z.object({ when: z.string().max(10_000).optional(), builder: conditions.optional() });
const done = answers(z.object({}));

/** Rules of the configuration that is being prepared. */
export function addConfigurationRuleRoutes(server: ApiServer, context: ConsoleContext): void {
  server.post(
    '/api/configuration/rules/try',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary:
          'The result of an expression for the studies that were routed last; conditions are written as an expression',
        body: tryBody,
        response: answers(triedRule),
      },
    },
    async ({ body }) => {
      const when = body.builder ? writeConditions(body.builder) : (body.when ?? '');
      const tried = await tryRule(context, when);
      return {
        when,
        ...tried,
        conditions: tried.conditions && { ...tried.conditions, conditions: [...tried.conditions.conditions] },
        examples: tried.examples.slice(0, 50),
      };
    },
  );

  server.post(
    '/api/configuration/rules/complete',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Words that may continue an expression: attributes, variables and functions',
        body: z.object({ before: z.string().max(10_000).describe('the expression up to the cursor') }),
        response: answers(
          z.object({
            length: z.number().int().describe('characters before the cursor that a word replaces'),
            words: z.array(z.string()),
          }),
        ),
      },
    },
    async ({ body }) => {
      const { length, words } = completeWord(body.before);
      return { length, words: [...words] };
    },
  );

  server.post(
    '/api/configuration/rules/:rule/check',
    {
      config: { access: 'editor' },
      schema: {
        tags,
        summary: 'Check a rule as `config check` does, without keeping it',
        params: byName,
        body: form,
        response: answers(fieldProblems),
      },
    },
    async (request) => {
      const wanted = { ...request.body, name: request.params.rule };
      const { problems, rule } = await judgeRuleForm(editContext(context), wanted, isEditor(request));
      return { problems: [...problems], yaml: stringify([rule], { lineWidth: 0 }) };
    },
  );

  server.put(
    '/api/configuration/rules/:rule',
    {
      config: { access: 'editor', action: 'prepare rule' },
      schema: {
        tags,
        summary: 'Put a rule into the prepared configuration',
        params: byName,
        body: form.extend({ seen: z.string().max(64).optional().describe('digest of the rule as it was shown') }),
        response: done,
      },
    },
    async (request) => {
      const wanted = { ...request.body, name: request.params.rule };
      const wish = { who: actorOf(request), isEditor: isEditor(request), seen: request.body.seen };
      await saveRuleForm(editContext(context), wanted, wish);
      return {};
    },
  );

  server.post(
    '/api/configuration/rules/:rule/enabled',
    {
      config: { access: 'editor', action: 'prepare rule' },
      schema: {
        tags,
        summary: 'Switch a rule on or off in the prepared configuration',
        params: byName,
        body: z.object({ enabled: z.boolean() }),
        response: done,
      },
    },
    async (request) => {
      const { rule } = request.params;
      const { enabled } = request.body;
      await editDraft(editContext(context), {
        edits(text) {
          const path = ['rules', indexOfRule(rulesOf(text), rule), 'enabled'];
          return [enabled ? { kind: 'remove', path } : { kind: 'set', path, value: false }];
        },
        what: `rule ${rule} switched ${enabled ? 'on' : 'off'}`,
        who: actorOf(request),
      });
      request.auditDetail = enabled ? 'on' : 'off';
      return {};
    },
  );

  server.post(
    '/api/configuration/rules/:rule/move',
    {
      config: { access: 'editor', action: 'prepare rule' },
      schema: {
        tags,
        summary: 'Give a rule the place of the one before or after it in the prepared configuration',
        params: byName,
        body: z.object({ direction: z.enum(['up', 'down']) }),
        response: done,
      },
    },
    async (request) => {
      const { rule } = request.params;
      const { direction } = request.body;
      await editDraft(editContext(context), {
        edits(text) {
          const rules = rulesOf(text);
          const index = indexOfRule(rules, rule);
          const to = Math.min(rules.length - 1, Math.max(0, index + (direction === 'up' ? -1 : 1)));
          return [{ kind: 'move', path: ['rules', index], to }];
        },
        what: `rule ${rule} moved ${direction}`,
        who: actorOf(request),
      });
      request.auditDetail = direction;
      return {};
    },
  );

  server.post(
    '/api/configuration/rules/:rule/remove',
    {
      config: { access: 'editor', action: 'prepare removal of rule' },
      schema: {
        tags,
        summary: 'Take a rule out of the prepared configuration',
        params: byName,
        response: done,
      },
    },
    async (request) => {
      const { rule } = request.params;
      await editDraft(editContext(context), {
        edits: (text) => [{ kind: 'remove', path: ['rules', indexOfRule(rulesOf(text), rule)] }],
        what: `rule ${rule} removed`,
        who: actorOf(request),
      });
      return {};
    },
  );
}
