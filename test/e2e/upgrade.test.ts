import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { httpRequest, startOrthanc, startRedis, tempFolder, waitFor, type TempFolder } from '@dicom-dispatch/harness';
import { currentFormat, redisKeys } from '@dicom-dispatch/state/keys';
import { Records } from '@dicom-dispatch/state/records';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { runCli } from './support/run-cli.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { prefix } from './support/system.ts';

/**
 * An older version left 1,000 deliveries in all states when everything was killed. `make-upgrade-data.ts` created the data
 * and documents how; `facts.json` has what it found at the receivers.
 */
interface Facts {
  readonly states: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** SOP Instance UIDs that each receiver had accepted. */
  readonly accepted: Readonly<Record<string, readonly string[]>>;
  /** Deliveries that were in progress. */
  readonly active: Readonly<Record<string, readonly string[]>>;
  readonly studies: readonly {
    readonly studyInstanceUid: string;
    readonly orthancStudyId: string;
    readonly datasets: Readonly<Record<string, string>>;
  }[];
}

const names = ['a', 'b', 'c', 'd', 'e', 'picky', 'slow', 'slower', 'dead', 'held'];
const keys = redisKeys(prefix);
let scps: ReadonlyMap<string, FaultScp>;

beforeAll(async () => {
  scps = new Map(await Promise.all(names.map(async (name) => [name, await startFaultScp()] as const)));
});
afterAll(async () => {
  for (const scp of scps.values()) await scp[Symbol.asyncDispose]();
});

const newStores = (name: string): string[] => scps.get(name)!.stores.map(({ sopInstanceUid }) => sopInstanceUid);

async function unpack(commit: string): Promise<{ readonly folder: TempFolder; readonly facts: Facts }> {
  const folder = await tempFolder('upgrade');
  const file = fileURLToPath(new URL(`../fixtures/upgrade/${commit}.tar.xz`, import.meta.url));
  execFileSync('tar', ['-C', folder.path, '-xJf', file]);
  return { folder, facts: JSON.parse(await readFile(join(folder.path, 'facts.json'), 'utf8')) as Facts };
}

describe('data of a former version', () => {
  it.each([
    ['ccf76d3', 'the first that delivered a study in a test'],
    ['0ebfe67', 'of 29 November 2026'],
  ])('%s (%s) are taken over: nothing is lost, nothing sent again, all states are shown', async (commit) => {
    const { folder, facts } = await unpack(commit);
    await using _ = folder;
    await using redis = await startRedis({ appendonly: false, args: ['--dir', folder.path] });
    await using orthanc = await startOrthanc({ storageDir: join(folder.path, 'orthanc') });
    const client = new Redis(redis.url);
    const records = new Records(client, prefix);
    for (const scp of scps.values()) scp.stores.length = 0;
    await using dispatch = await startDispatch({
      config: {
        sources: { main: { url: orthanc.url, pollInterval: '200ms', startFrom: 'everything' } },
        targets: Object.fromEntries(names.map((name) => [name, pacsTarget(scps.get(name)!, { concurrency: 4 })])),
        rules: [{ name: 'all', targets: names }],
        redis: { url: redis.url },
      },
    });
    try {
      expect(await client.get(keys.format)).toBe(String(currentFormat));
      // The receivers of this test have other ports than the original ones; the first version did not store where its
      // targets were.
      for (const name of names) {
        if ((await client.exists(keys.places(name))) === 0) continue;
        // Rejected while an old delivery is just being taken over.
        let answer = '';
        await waitFor(
          async () => {
            const { status, body } = await httpRequest(`${dispatch.url}/api/targets/${name}/place`, {
              method: 'POST',
              headers: { origin: dispatch.url, 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' },
              body: '{"decision":"same"}',
            });
            answer = body.toString();
            return status === 200 || answer.includes('no decision is needed');
          },
          { message: () => `${name}: ${answer}` },
        );
      }
      // Waiting studies arrive; an operator's decisions stay.
      const expected = {
        waiting: facts.states['held']!['waiting'],
        cancelled: facts.states['dead']!['cancelled'],
        partial: facts.states['picky']!['partial'],
        active: 0,
      };
      let counts: Readonly<Record<string, number>> = {};
      await waitFor(
        async () => {
          counts = await records.counts();
          return Object.entries(expected).every(([state, count]) => counts[state] === count);
        },
        {
          intervalMs: 500,
          message: () => `${JSON.stringify(counts)}\n${dispatch.output().slice(-3_000)}`,
        },
      );
      expect(await records.studyCount()).toBe(100);
      for (const name of ['a', 'b', 'c', 'd', 'e', 'picky', 'held']) expect(newStores(name), name).toEqual([]);
      for (const name of ['slow', 'slower', 'dead']) await expectTheRest(name, facts, records);
      // Operators can act on a delivery of the older version.
      await cli('release', ...(await client.zrange(keys.index('target:held:waiting'), '0', '0')));
      await waitFor(() => newStores('held').length === 2);
      await cli('retry', '--target', 'picky', '--yes');
      await waitFor(async () => (await records.counts('picky')).delivered === 100);
      const before = new Set(facts.accepted['picky']);
      expect(newStores('picky').filter((uid) => before.has(uid))).toEqual([]);
      const shown = await cli('studies', '--limit', '1000', '--json');
      expect((JSON.parse(shown) as { studies: unknown[] }).studies.length).toBe(100);
    } finally {
      client.disconnect();
    }

    async function cli(...args: readonly string[]): Promise<string> {
      const ran = await runCli(dispatch.folder, ...args, '-c', dispatch.configFile);
      expect(ran.code, ran.err).toBe(0);
      return ran.out;
    }
  });
});

/**
 * Instances that the receiver did not have arrive once; only instances whose response was in flight when everything was
 * killed may arrive again.
 */
async function expectTheRest(name: string, { accepted, active, studies }: Facts, records: Records): Promise<void> {
  const had = new Set(accepted[name]);
  const came = newStores(name);
  expect(new Set(came).size, name).toBe(came.length);
  const cancelled = new Set(
    (await records.deliveries({ target: name, state: 'cancelled', limit: 1_000 })).records.map(
      ({ studyInstanceUid }) => studyInstanceUid,
    ),
  );
  const underWay = new Set(
    (await Promise.all(active[name]!.map((id) => records.delivery(id)))).map((one) => one?.studyInstanceUid),
  );
  for (const { studyInstanceUid, datasets } of studies) {
    for (const uid of Object.keys(datasets)) {
      const times = Number(had.has(uid)) + Number(came.includes(uid));
      const wanted = cancelled.has(studyInstanceUid) ? 0 : 1;
      if (underWay.has(studyInstanceUid)) expect(times, `${name} ${uid}`).toBeGreaterThanOrEqual(wanted);
      else expect(times, `${name} ${uid}`).toBe(wanted);
    }
  }
}
