import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeStored, encodeValue, versionHash } from './entry-codec.ts';
import { readStored } from './fold.ts';
import { ledgerKeys, shardOf } from './ledger-keys.ts';
import { unfoldScript } from './ledger-scripts.ts';
import { createLedger, type Fence, type Ledger, type LedgerKey } from './index.ts';

const prefix = '{invariants}';
const study = '1.2.840.113619';
const key: LedgerKey = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: study, target: 'pacs' };
const deliveries = ['d-1', 'd-2', 'd-3'];

let server: RedisServer;
let redis: Redis;
let other: Redis;
/** Two dispatchers. */
let ledgers: readonly [Ledger, Ledger];

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  other = new Redis(server.url);
  ledgers = [createLedger(redis, { prefix }), createLedger(other, { prefix })] as const;
});
afterAll(async () => {
  redis.disconnect();
  other.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

interface Place {
  readonly sop: string;
  readonly series: string;
}

/** Few UIDs and versions, so that they meet: one SOP Instance UID in several series, one version in several instances. */
const place: fc.Arbitrary<Place> = fc.record({
  sop: fc.constantFrom(`${study}.1`, `${study}.2`, '2.25.7', 'odd@~uid'),
  series: fc.constantFrom(`${study}.10`, `${study}.11`, '2.25.8'),
});
const side = fc.constantFrom(0, 1) as fc.Arbitrary<0 | 1>;
const delivery = fc.constantFrom(...deliveries);

type Step =
  /** The source gets an instance, or another version of it. */
  | { readonly kind: 'arrives'; readonly place: Place; readonly isSame: boolean }
  | { readonly kind: 'leaves'; readonly place: Place }
  /** A dispatcher gets the job of a delivery. */
  | { readonly kind: 'takes'; readonly delivery: string; readonly side: 0 | 1 }
  /** The lock of the job expires. */
  | { readonly kind: 'loses'; readonly delivery: string }
  | { readonly kind: 'confirms'; readonly delivery: string; readonly side: 0 | 1; readonly places: readonly Place[] }
  | { readonly kind: 'quarantines'; readonly delivery: string; readonly side: 0 | 1; readonly place: Place }
  | { readonly kind: 'revokes'; readonly delivery: string; readonly side: 0 | 1; readonly place: Place }
  | { readonly kind: 'retries' }
  /** Folds confirmed entries, with the versions of the manifest or without. */
  | { readonly kind: 'folds'; readonly side: 0 | 1; readonly isInformed: boolean }
  /** Two fold at the same time, while something is written. */
  | { readonly kind: 'folds while'; readonly step: Step }
  /** The unfolding process is killed: this many entries are back in hashes. */
  | { readonly kind: 'unfolds partly'; readonly entries: number };

const plainStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('arrives' as const), place, isSame: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leaves' as const), place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('takes' as const), delivery, side }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('loses' as const), delivery }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('confirms' as const),
      delivery,
      side,
      places: fc.array(place, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('quarantines' as const), delivery, side, place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('revokes' as const), delivery, side, place }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'retries' as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('folds' as const), side, isInformed: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unfolds partly' as const), entries: fc.nat({ max: 6 }) }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: plainStep },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('folds while' as const), step: plainStep }) },
);

/** The expected state, without a ledger. */
class World {
  /** Versions in the source, by place. */
  readonly source = new Map<string, { readonly place: Place; readonly version: string }>();
  /** The last response of the target for a version of an instance. */
  readonly reported = new Map<string, 'delivered' | 'quarantined'>();
  readonly holders = new Map<string, 0 | 1>();
  clock = 0;
  now = 1_700_000_000_000;

  /** The instances as a dispatcher reads them now. */
  manifest(places?: readonly Place[]) {
    const wanted = places && new Set(places.map(nameOf));
    const counts = Map.groupBy(this.source.values(), ({ place: { sop } }) => sop);
    return [...this.source]
      .filter(([name]) => wanted?.has(name) ?? true)
      .map(
        ([
          name,
          {
            place: { sop, series },
            version,
          },
        ]) => ({
          name,
          sopInstanceUid: sop,
          seriesInstanceUid: series,
          version,
          ...((counts.get(sop)?.length ?? 0) > 1 && { sharesSopInstanceUid: true as const }),
        }),
      );
  }
}

function nameOf({ sop, series }: Place): string {
  return `${series} ${sop}`;
}

function fenceOf(id: string, of: 0 | 1): Fence {
  return { lockKey: `${prefix}:target-pacs:${id}:lock`, token: `token ${of}` };
}

type ListedInstance = ReturnType<World['manifest']>[number];

/** Writes as a dispatcher that may have lost the delivery; only the current one may succeed. */
async function write(
  world: World,
  at: { delivery: string; side: 0 | 1 },
  act: (ledger: Ledger, fence: Fence) => Promise<void>,
) {
  const before = await contents();
  const isHolder = world.holders.get(at.delivery) === at.side;
  const written = act(ledgers[at.side], fenceOf(at.delivery, at.side));
  if (isHolder) {
    await written;
    return true;
  }
  await expect(written).rejects.toMatchObject({ code: 'lock-lost' });
  const after = await contents();
  expect(after).toEqual(before);
  return false;
}

/** All entries of the ledger, in hashes or folded: another process may fold it meanwhile. */
async function contents(): Promise<unknown> {
  return [...(await ledgers[0].entries(key))].sort(([one], [other]) => (one < other ? -1 : 1));
}

async function run(world: World, one: Step): Promise<void> {
  const versionOf = ({ name, version }: ListedInstance): string => `${name} ${version}`;
  const at = (world.now += 1);
  const outcome = (id: string, instance: ListedInstance) => ({ ...instance, attempt: 1, deliveryId: id, at });
  switch (one.kind) {
    case 'arrives': {
      // Versions increase, like times of reception; instances that arrived together may have the same.
      if (!one.isSame) world.clock += 1;
      world.source.set(nameOf(one.place), { place: one.place, version: `v${world.clock}` });
      return;
    }
    case 'leaves':
      world.source.delete(nameOf(one.place));
      return;
    case 'takes':
      world.holders.set(one.delivery, one.side);
      await redis.set(fenceOf(one.delivery, one.side).lockKey, fenceOf(one.delivery, one.side).token);
      return;
    case 'loses':
      world.holders.delete(one.delivery);
      await redis.del(fenceOf(one.delivery, 0).lockKey);
      return;
    case 'confirms': {
      const instance = world.manifest(one.places);
      if (instance.length === 0) return;
      const isDone = await write(world, one, async (ledger, fence) => {
        // Like parallel transfers: each by itself, at the same time.
        await Promise.all(instance.map((each) => ledger.confirm(key, [outcome(one.delivery, each)], fence)));
      });
      if (isDone) for (const each of instance) forgetOthers(world, each).reported.set(versionOf(each), 'delivered');
      return;
    }
    case 'quarantines': {
      for (const each of world.manifest([one.place])) {
        // A confirmed instance is not sent, so it cannot be rejected.
        if (world.reported.get(versionOf(each)) === 'delivered') continue;
        const entry = { ...outcome(one.delivery, each), error: { code: 'instance-refused', message: 'no' } };
        const isDone = await write(world, one, (ledger, fence) => ledger.quarantine(key, entry, fence));
        if (isDone) forgetOthers(world, each).reported.set(versionOf(each), 'quarantined');
      }
      return;
    }
    case 'revokes': {
      for (const each of world.manifest([one.place])) {
        const isDone = await write(world, one, (ledger, fence) =>
          ledger.revoke(key, outcome(one.delivery, each), fence),
        );
        if (isDone) world.reported.delete(versionOf(each));
      }
      return;
    }
    case 'retries':
      await ledgers[0].clearQuarantine(key);
      for (const [name, state] of world.reported) if (state === 'quarantined') world.reported.delete(name);
      return;
    case 'folds':
      return ledgers[one.side].fold(key, one.isInformed ? world.manifest() : []);
    case 'folds while': {
      const manifest = world.manifest();
      const folding = ledgers.map((each) => each.fold(key, manifest));
      await Promise.all([...folding, run(world, one.step)]);
      return;
    }
    case 'unfolds partly': {
      const keys = ledgerKeys(prefix, key);
      const { packed, folded } = await readStored(redis, keys);
      const some = folded.slice(0, one.entries);
      const args = some.flatMap((entry) => [shardOf(entry.field), entry.field, encodeStored(entry), entry.note]);
      if (packed) await unfoldScript.run(redis, keys, [packed, '', ...args]);
    }
  }
}

/** A response of the target replaces those for other versions of the instance. */
function forgetOthers(world: World, { name }: ListedInstance): World {
  for (const other of world.reported.keys()) if (other.startsWith(`${name} `)) world.reported.delete(other);
  return world;
}

test('nothing is confirmed that was not, nothing that was is lost, and an old fence never writes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      await redis.flushall();
      const world = new World();
      const hadToLeave = new Set<string>();
      for (const one of steps) {
        if (one.kind === 'leaves') hadToLeave.add(one.place.sop);
        await run(world, one);
        const { delivered, quarantined, pending } = await ledgers[1].compare(key, world.manifest());
        const reported = (state: string) => (instance: ListedInstance) =>
          world.reported.get(`${instance.name} ${instance.version}`) === state;
        expect(
          delivered.filter((instance) => !reported('delivered')(instance)),
          'not confirmed',
        ).toEqual([]);
        expect(
          quarantined.filter((instance) => !reported('quarantined')(instance)),
          'not quarantined',
        ).toEqual([]);
        // An instance that has left the source may have to be sent again if it returns beside another one with its UID.
        const lost = pending.filter(
          (instance) => reported('delivered')(instance) && !hadToLeave.has(instance.sopInstanceUid),
        );
        expect(lost, 'confirmed and lost').toEqual([]);
      }
    }),
    { numRuns: 100 },
  );
});

test('a version that returns after another one was confirmed is sent again', async () => {
  const names = [
    { sopInstanceUid: '2.25.7', seriesInstanceUid: '2.25.8' },
    { sopInstanceUid: '2.25.7', seriesInstanceUid: '2.25.8', sharesSopInstanceUid: true as const },
  ];
  for (const [first, second] of [names, names.toReversed()]) {
    await redis.flushall();
    const instance = { attempt: 1, deliveryId: 'd-1' };
    await ledgers[0].confirm(key, [{ ...instance, ...first!, version: 'v1', at: 1 }]);
    await ledgers[0].confirm(key, [{ ...instance, ...second!, version: 'v2', at: 2 }]);
    for (const name of names) {
      expect((await ledgers[0].compare(key, [{ ...name, version: 'v1' }])).pending.length).toBe(1);
      expect((await ledgers[0].compare(key, [{ ...name, version: 'v2' }])).delivered.length).toBe(1);
    }
  }
});

test('an entry from before series counted is believed only where no other series has the UID', async () => {
  const alone = { sopInstanceUid: '2.25.7', seriesInstanceUid: '2.25.8', version: 'v1' };
  const value = encodeValue('delivered', {
    sopInstanceUid: '2.25.7',
    version: 'v1',
    attempt: 1,
    deliveryId: 'd-1',
    at: 1,
  });
  expect(value).toContain(versionHash('v1'));
  await redis.hset(ledgerKeys(prefix, key)[shardOf('2.25.7') - 1] ?? '', '2.25.7', value);
  expect((await ledgers[0].compare(key, [alone])).delivered).toEqual([alone]);
  expect((await ledgers[0].compare(key, [{ ...alone, version: 'v2' }])).pending.length).toBe(1);
  const shared = [alone, { ...alone, seriesInstanceUid: '2.25.9' }].map((one) => ({
    ...one,
    sharesSopInstanceUid: true as const,
  }));
  expect((await ledgers[0].compare(key, shared)).pending).toEqual(shared);
  await redis.set(fenceOf('d-1', 0).lockKey, fenceOf('d-1', 0).token);
  await ledgers[0].revoke(key, alone, fenceOf('d-1', 0));
  expect((await ledgers[0].compare(key, [alone])).pending).toEqual([alone]);
});
