import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { startOrthanc, waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startFollowing, type FollowingServices } from './support/start-in-process.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

/** Two sources that have two databases, until one of them gets that of the other while it is followed. */
let system: System;
let other: OrthancServer;
let scp: FaultScp;
let dispatch: FollowingServices;
let fronts: { readonly main: Front; readonly again: Front };

interface Front extends AsyncDisposable {
  readonly url: string;
  /** Leads to another Orthanc from now on. */
  lead(to: OrthancServer): void;
}

async function startFront(first: OrthancServer): Promise<Front> {
  let to = first;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = connect(to.httpPort, '127.0.0.1');
    for (const [one, next] of [[socket, upstream] as const, [upstream, socket] as const]) {
      sockets.add(one);
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(one);
          next.destroy();
        });
    }
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => sockets.forEach((socket) => void socket.destroy());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead(next) {
      to = next;
      cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

beforeAll(async () => {
  [system, other, scp] = await Promise.all([startSystem(), startOrthanc(), startFaultScp()]);
  fronts = { main: await startFront(system.orthanc), again: await startFront(other) };
  const source = ({ url }: Front) => ({
    url,
    pollInterval: '200ms',
    startFrom: 'everything',
    sweep: { every: '1s', settle: '2s' },
  });
  dispatch = await startFollowing({
    config: system.config(
      { pacs: pacsTarget(scp) },
      { sources: { main: source(fronts.main), again: source(fronts.again) } },
    ),
  });
});
afterAll(async () => {
  await dispatch?.[Symbol.asyncDispose]();
  for (const one of [fronts?.main, fronts?.again, scp, system]) await one?.[Symbol.asyncDispose]();
  await other?.stop();
});

const small = { instancesPerSeries: 2, rows: 16, columns: 16 };
const message = (): string => dispatch.output();

/** ARGV: a kind of keys to keep, names. Removes every key, and every entry of another one, with one of the names, in one step. */
const loseScript = `
local function isNamed(text)
  for i = 2, #ARGV do if string.find(text, ARGV[i], 1, true) then return true end end
  return false
end
local kinds = { zset = { 'ZRANGE', 'ZREM' }, list = { 'LRANGE', 'LREM' }, set = { 'SMEMBERS', 'SREM' }, hash = { 'HKEYS', 'HDEL' } }
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local acts = kinds[kind]
  if string.find(key, ':' .. ARGV[1] .. ':', 1, true) then
  elseif isNamed(key) then redis.call('DEL', key)
  elseif acts then
    local isRange = kind == 'zset' or kind == 'list'
    for _, one in ipairs(isRange and redis.call(acts[1], key, 0, -1) or redis.call(acts[1], key)) do
      if isNamed(one) then
        if kind == 'list' then redis.call('LREM', key, 0, one) else redis.call(acts[2], key, one) end
      end
    end
  end
end
`;

/** Nothing is left in Redis of a study. @param but - a kind of keys that stay */
async function loseAll({ orthancStudyId, studyInstanceUid }: UploadedStudy, but = 'nothing'): Promise<void> {
  const known = await system.records.deliveriesOfUid(studyInstanceUid, 'main');
  const names = [orthancStudyId, studyInstanceUid, ...known.map(({ deliveryId }) => deliveryId)];
  await system.client.eval(loseScript, 0, but, ...names);
}

it('a study of which nothing is left in Redis is found by the sweep; what has arrived is not sent again', async () => {
  await scp.down();
  const waiting = await system.upload({ seed: 'waits', ...small });
  await system.untilDelivery(waiting, 'pacs', ['waiting']);
  await loseAll(waiting);
  await scp.up();
  await system.untilDelivery(waiting, 'pacs', ['delivered']);
  const stores = scp.stores.length;
  await loseAll(waiting, 'ledger');
  await system.untilDelivery(waiting, 'pacs', ['delivered']);
  expect(scp.stores).toHaveLength(stores);
}, 90_000);

it('notices it, and sends no study of the database again', async () => {
  const one = await system.upload({ seed: 'of main', ...small });
  await system.untilDelivery(one, 'pacs', ['delivered']);
  // The two are found to differ.
  for (const { bytes } of makeStudy({ seed: 'of again', ...small })) await other.upload(bytes);
  const expected = scp.stores.length + 2;
  await waitFor(() => scp.stores.length === expected, { timeoutMs: 30_000, message });
  fronts.again.lead(system.orthanc);
  await waitFor(() => dispatch.output().includes('"sameAs":"main"'), { timeoutMs: 30_000, message });
  const next = await system.upload({ seed: 'of main, later', ...small });
  await system.untilDelivery(next, 'pacs', ['delivered']);
  expect(scp.stores).toHaveLength(expected + 2);
}, 60_000);
