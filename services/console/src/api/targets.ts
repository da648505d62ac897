import {
  closeCircuit,
  decidePlace,
  dropOrphan,
  moveOrphan,
  pauseTarget,
  promoteTarget,
  readThroughput,
  resumeTarget,
  setTargetConcurrency,
  setTargetRate,
  testTarget,
  type OrphanResult,
} from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import { check, target, targetDetail, throughputPoint } from '../views/schemas.ts';
import { listTargets, showTarget } from '../views/show-system.ts';
import { actorOf } from './actor.ts';
import { answers } from './answers.ts';
import type { ApiServer } from './api-server.ts';

const tags = ['targets'];
const byName = z.object({ target: z.string().max(64) });

export function addTargetRoutes(server: ApiServer, context: ConsoleContext): void {
  const { operations } = context;

  server.get(
    '/api/targets',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'All targets as they are now',
        response: answers(z.object({ targets: z.array(target) })),
      },
    },
    async () => ({ targets: await listTargets(context) }),
  );

  server.get(
    '/api/targets/:target',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'One target with its errors and throughput',
        params: byName,
        response: answers(targetDetail),
      },
    },
    (request) => showTarget(context, request.params.target),
  );

  server.get(
    '/api/targets/:target/throughput',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'What went through a target',
        params: byName,
        querystring: z.object({
          minutes: z.coerce.number().int().min(1).max(10_080).default(60).describe('beyond 2880 by whole hours'),
          step: z.coerce.number().int().min(1).max(240).default(1),
        }),
        response: answers(z.object({ points: z.array(throughputPoint) })),
      },
    },
    async (request) => {
      operations.queues.known(context.config(), request.params.target);
      const { minutes, step } = request.query;
      return { points: await readThroughput(operations, request.params.target, minutes, step) };
    },
  );

  server.post(
    '/api/targets/:target/test',
    {
      config: { access: 'operator', action: 'test' },
      schema: {
        tags,
        summary: 'Try the connection to a target, step by step',
        params: byName,
        response: answers(z.object({ passed: z.boolean(), did: z.string(), checks: z.array(check) })),
      },
    },
    async (request) => {
      const checks = [];
      for await (const one of testTarget(operations, request.params.target)) checks.push({ ...one });
      const passed = checks.every(({ result }) => result !== 'failed');
      const isProven = passed && checks.some(({ result }) => result === 'passed');
      request.auditDetail = passed ? 'passed' : 'failed';
      const closed = isProven && (await closeCircuit(operations, request.params.target));
      const did = !passed
        ? 'The target cannot be used.'
        : `The target can be used.${closed ? ' Its circuit is closed: waiting deliveries continue now.' : ''}`;
      return { passed, did, checks };
    },
  );

  const done = answers(target.extend({ did: z.string().describe('what was done') }));
  const state = async (name: string, did: string): Promise<z.infer<typeof targetDetail> & { did: string }> => ({
    ...(await showTarget(context, name)),
    did,
  });

  server.post(
    '/api/targets/:target/pause',
    {
      config: { access: 'operator', action: 'pause' },
      schema: { tags, summary: 'Let no further delivery start', params: byName, response: done },
    },
    async (request) => {
      const { target: name } = request.params;
      await pauseTarget(operations, name, actorOf(request));
      const { active } = await operations.records.counts(name);
      return state(
        name,
        `${name} is paused: ${active === 0 ? 'nothing is' : `${active} under way ${active === 1 ? 'ends' : 'end'}, nothing is`} started any more.`,
      );
    },
  );

  server.post(
    '/api/targets/:target/resume',
    {
      config: { access: 'operator', action: 'resume' },
      schema: { tags, summary: 'Let deliveries start again', params: byName, response: done },
    },
    async (request) => {
      const { target: name } = request.params;
      await resumeTarget(operations, name);
      const { waiting } = await operations.records.counts(name);
      return state(
        name,
        `${name} is in use again: ${waiting} ${waiting === 1 ? 'delivery waits' : 'deliveries wait'}.`,
      );
    },
  );

  server.post(
    '/api/targets/:target/promote',
    {
      config: { access: 'operator', action: 'promote all' },
      schema: {
        tags,
        summary: 'Let every delivery that waits for its next attempt go now',
        params: byName,
        response: answers(z.object({ promoted: z.number().int(), did: z.string() })),
      },
    },
    async (request) => {
      const { target: name } = request.params;
      const promoted = await promoteTarget(operations, name);
      const isProbed = await operations.circuits.probeNow(name);
      const did = `${promoted} ${promoted === 1 ? 'delivery goes' : 'deliveries go'} now.${isProbed ? ` ${name} cannot be used: one of them probes it now, the others follow when that succeeds.` : ''}`;
      return { promoted, did };
    },
  );

  const decided = answers(
    z.object({
      done: z.number().int(),
      left: z.number().int().describe('running, or changed in the meantime'),
      did: z.string(),
    }),
  );
  const decisionDone = ({ done, left }: OrphanResult, what: string): OrphanResult & { did: string } => ({
    done,
    left,
    did: `${done} ${done === 1 ? 'delivery is' : 'deliveries are'} ${what}.${left === 0 ? '' : ` ${left} more ${left === 1 ? 'is' : 'are'} running or came meanwhile: repeat it for these.`}`,
  });

  server.post(
    '/api/targets/:target/move',
    {
      config: { access: 'operator', action: 'move orphan' },
      schema: {
        tags,
        summary: 'Give what waits for a target that was removed from the configuration to another one',
        params: byName,
        body: z.object({ to: z.string().max(64) }),
        response: decided,
      },
    },
    async (request) => {
      const { to } = request.body;
      request.auditDetail = `to ${to}`;
      return decisionDone(await moveOrphan(operations, request.params.target, to, actorOf(request)), `moved to ${to}`);
    },
  );

  server.post(
    '/api/targets/:target/drop',
    {
      config: { access: 'operator', action: 'drop orphan' },
      schema: {
        tags,
        summary: 'Cancel what waits for a target that was removed from the configuration',
        params: byName,
        response: decided,
      },
    },
    async (request) => decisionDone(await dropOrphan(operations, request.params.target, actorOf(request)), 'cancelled'),
  );

  server.post(
    '/api/targets/:target/place',
    {
      config: { access: 'administrator', action: 'decide place' },
      schema: {
        tags,
        summary: 'Decide on a target whose configuration names another place',
        params: byName,
        body: z.object({
          decision: z
            .enum(['same', 'new'])
            .describe(
              'same: same content at a new address, the ledger is kept; new: another target, a new ledger is started',
            ),
        }),
        response: answers(
          z.object({
            place: z.string(),
            ledger: z.string(),
            resumed: z.number().int().describe('deliveries that continue'),
          }),
        ),
      },
    },
    async (request) => {
      const decided = await decidePlace(operations, request.params.target, request.body.decision);
      request.auditDetail = `${request.body.decision}: ${decided.place}`;
      return { ...decided };
    },
  );

  server.put(
    '/api/targets/:target/concurrency',
    {
      config: { access: 'operator', action: 'set concurrency' },
      schema: {
        tags,
        summary: 'How many deliveries run at the same time, over all dispatchers',
        params: byName,
        body: z.object({ concurrency: z.number().int().min(1).max(256) }),
        response: done,
      },
    },
    async (request) => {
      await setTargetConcurrency(operations, request.params.target, request.body.concurrency);
      request.auditDetail = `to ${request.body.concurrency}`;
      return state(request.params.target, 'Limit set.');
    },
  );

  server.put(
    '/api/targets/:target/rate',
    {
      config: { access: 'operator', action: 'set rate' },
      schema: {
        tags,
        summary: 'How many deliveries start in a minute, over all dispatchers; null: no limit',
        params: byName,
        body: z.object({ deliveriesPerMinute: z.number().int().min(1).nullable() }),
        response: done,
      },
    },
    async (request) => {
      const { deliveriesPerMinute } = request.body;
      await setTargetRate(operations, request.params.target, deliveriesPerMinute ?? undefined);
      request.auditDetail = deliveriesPerMinute === null ? 'no limit' : `to ${deliveriesPerMinute} a minute`;
      return state(request.params.target, 'Rate set.');
    },
  );
}
