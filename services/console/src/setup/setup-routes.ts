import { OperationError } from '@dicom-dispatch/pipeline';
import { testSource } from '@dicom-dispatch/operations';
import { openSource } from '@dicom-dispatch/sources';
import { resolveTarget } from '@dicom-dispatch/targets';
import type { Check } from '@dicom-dispatch/target-kit';
import { writeConditions, type Config } from '@dicom-dispatch/core';
import { z } from 'zod';
import { tryBody } from '../api/configuration-rules.ts';
import type { ApiServer } from '../api/api-server.ts';
import { tryExpression } from '../configuration/try-rule.ts';
import {
  administratorOf,
  judgeStep,
  type JudgedStep,
  type SetupAnswers,
  type SetupPlace,
  type SetupStep,
} from './setup-answers.ts';

const params = z.object({
  step: z.enum(['source', 'target', 'rule', 'administrator']),
  name: z.string().min(1).max(64),
});
const body = z.object({
  type: z.string().max(300).optional(),
  values: z.record(z.string().max(200), z.string().max(64 * 1024)).default({}),
});
const testMs = 60_000;
const maxTried = 50;

export interface SetupState extends SetupPlace {
  answers: SetupAnswers;
}

/** Checks, tests and stores the answers of the first start. Before its end, only the key file of secrets is written. */
export function addSetupRoutes(server: ApiServer, state: SetupState): void {
  const judge = (step: SetupStep, name: string, form: z.infer<typeof body>): Promise<JudgedStep> =>
    judgeStep(state, state.answers, step, { ...form, name });

  server.post('/setup/:step/:name/check', { schema: { params, body } }, async (request) => {
    const { step, name } = request.params;
    return { problems: (await judge(step, name, request.body)).problems };
  });

  server.post('/setup/:step/:name/test', { schema: { params, body } }, async (request) => {
    const { step, name } = request.params;
    return test(step, await judge(step, name, request.body));
  });

  server.put('/setup/:step/:name', { schema: { params, body } }, async (request) => {
    const { step, name } = request.params;
    const judged = await judge(step, name, request.body);
    const tested = await test(step, judged);
    if (!tested.passed) return tested;
    if (step === 'administrator' && request.body.values['again'] !== request.body.values['password'])
      throw new OperationError('invalid', 'again: is a different password');
    const answer = step === 'administrator' ? await administratorOf(state, { ...request.body, name }) : judged.answer;
    state.answers = { ...state.answers, [step]: answer };
    return tested;
  });

  server.post('/setup/rule/try', { schema: { body: tryBody } }, async (request) => {
    const when = request.body.builder ? writeConditions(request.body.builder) : (request.body.when ?? '');
    return { when, ...(await tryOnStudies(state, when)) };
  });
}

/** @throws OperationError `invalid` if the answer, or an earlier one, is invalid and cannot be tested */
async function test(
  step: SetupStep,
  { answer: { name }, problems, config }: JudgedStep,
): Promise<{ passed: boolean; did?: string; checks: Check[] }> {
  if (problems.length > 0 || !config)
    throw new OperationError(
      'invalid',
      problems.map(({ field, message }) => `${field || name}: ${message}`).join('\n') ||
        'an earlier step is not complete',
    );
  const checks: Check[] = [];
  for await (const one of checksOf(step, name, config)) checks.push(one);
  const passed = checks.every(({ result }) => result !== 'failed');
  if (step !== 'source') return { passed, checks };
  return { passed, did: passed ? 'Orthanc can be used.' : 'Orthanc cannot be used.', checks };
}

async function* checksOf(step: SetupStep, name: string, config: Config): AsyncGenerator<Check> {
  const source = config.sources[name];
  if (step === 'source' && source) yield* testSource(name, source);
  const target = config.targets[name];
  if (step !== 'target' || !target) return;
  const resolved = await resolveTarget(name, target);
  const signal = AbortSignal.timeout(testMs);
  yield* resolved.handler.testConnection({ config: resolved.config, targetName: name, signal });
}

/** Result of an expression for current studies in Orthanc. */
async function tryOnStudies({ store, listen, answers }: SetupState, when: string) {
  const { source } = answers;
  const { config } = await judgeStep({ store, listen }, answers, 'rule', { name: 'rule', values: {} });
  const configured = source && config?.sources[source.name];
  if (!source || !configured) return tryExpression(when, 'The previous steps are not complete.');
  const orthanc = await openSource(configured);
  try {
    return await tryExpression(when, {
      config,
      client: async () => orthanc,
      async list() {
        const studies = await orthanc.studies.list({ limit: maxTried });
        return studies.map(({ ID: orthancStudyId, MainDicomTags: tags }) => ({
          source: source.name,
          orthancStudyId,
          studyInstanceUid: tags['StudyInstanceUID'] ?? '',
          routedAt: Date.now(),
        }));
      },
    });
  } finally {
    await orthanc.close();
  }
}
