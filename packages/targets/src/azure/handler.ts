import { createHash } from 'node:crypto';
import { maxIdentityBytes, placesOf, targetConflict, type Places } from '../conflict/index.ts';
import {
  contractVersion,
  type DeliveryRun,
  type ManifestInstance,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import {
  borrowed,
  inLanes,
  largeAtOnce,
  largeBytes,
  metered,
  peeked,
  Permits,
  throwIfCancelled,
  type OpenedInstance,
} from '@dicom-dispatch/target-kit/flow';
import { studyMarker } from '../marker/index.ts';
import { PartPool } from '../s3/part-pool.ts';
import { partsOf } from '../s3/parts.ts';
import { gather } from '../s3/send-instance.ts';
import { azureAbout } from './about.ts';
import { judgeBlob, lookAtBlob, type BlobToSend, type Stored } from './blob.ts';
import { openContainer, type Container } from './container.ts';
import { openAzureInventory } from './inventory.ts';
import { enterContainer, takenNames } from './known-names.ts';
import { putBlob } from './put-blob.ts';
import { azureTarget, limitsOf, type AzureTarget } from './schema.ts';
import { testAzure } from './test-connection.ts';
import { uploadBlocks, type UploadContext } from './upload-blocks.ts';

export const azureHandler: TargetHandler<AzureTarget> = {
  contractVersion,
  type: 'azure',
  about: azureAbout,
  heldBytes: ({ blockSize }) => blockSize,
  schema: azureTarget,
  deliver,
  testConnection: testAzure,
  inventory: openAzureInventory,
};

type Run = DeliveryRun<AzureTarget>;
/** Whether the name was taken when the container was listed; true if unknown. */
type IsTaken = (name: string) => boolean;

/** Stores each pending instance as a separate block blob; it is verified when reported. */
async function deliver(run: Run): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  run.stage('connect');
  await using container = await openContainer(config);
  const mayList = await enterContainer(container, signal);
  run.stage('transfer');
  const places = placesOf(run, `${container.host} ${config.container}`, config.key, limitsOf(config));
  const names = run.pending.map((instance) => config.prefix + places.pathOf(instance));
  const isWanted = mayList && config.existing === 'compare' && names.length > 0;
  const taken = isWanted ? await takenNames(container, names, signal) : undefined;
  const quarantined = await send(run, container, places, (name) => taken?.has(name) ?? true);
  // Each blob was verified when it was created, before it was reported.
  run.stage('verify');
  run.stage('finalize');
  await writeMarker(run, container, places, quarantined);
}

async function send(run: Run, container: Container, places: Places, isTaken: IsTaken) {
  const { config } = run;
  const { instances, quarantined: shared } = await places.divide();
  const permits = new Permits(config.maxParallel);
  const isLarge = run.pending.some(({ sizeBytes }) => sizeBytes > largeBytes);
  const lanes = isLarge
    ? { lanes: Math.min(largeAtOnce, config.maxParallel), prefetch: 0 }
    : { lanes: config.maxParallel };
  const pool = new PartPool(new Permits(Math.ceil(config.maxParallel / 2)), config.blockSize, run.reserve);
  let replaced = 0;
  const { quarantined } = await inLanes(run, { ...lanes, instances }, async (opened, { signal }) => {
    const { instance } = opened;
    let md5: string | undefined;
    const blob: BlobToSend = {
      ...places.claim(instance),
      name: config.prefix + places.pathOf(instance),
      contentType: 'application/dicom',
      answered: (confirmed) => (md5 = confirmed),
    };
    const stored = await sendInstance(run, { container, permits, pool, signal }, opened, blob, isTaken);
    if (stored === 'replaced') replaced += 1;
    const tag = md5 === undefined ? '' : `, MD5 ${md5}`;
    return { kind: 'delivered', answer: `${stored} as ${config.prefix}${places.shownPathOf(instance)}${tag}` };
  });
  if (replaced > 0) run.log.info('earlier versions of instances replaced', { count: replaced });
  return [...shared, ...quarantined];
}

/** Sends an instance in one request, or in blocks if it is larger than a block. */
async function sendInstance(
  run: Run,
  context: UploadContext,
  { instance, bytes }: OpenedInstance,
  blob: BlobToSend,
  isTaken: IsTaken,
): Promise<Stored> {
  const { container, permits, pool, signal } = context;
  const sizeBytes = bytes.sizeBytes ?? instance.sizeBytes;
  const blockBytes = blockSizeFor(sizeBytes, run.config.blockSize);
  const gathered = await gather(bytes, blockBytes);
  if ('whole' in gathered) {
    const { whole } = gathered;
    const put = () => putBlob(container, blob, whole, isTaken(blob.name), signal);
    const stored = await permits.with(signal, put);
    // Not after an error: an abandoned request may still use this memory.
    gathered.release();
    return stored;
  }
  const looks = run.config.existing === 'compare' && isTaken(blob.name);
  const found = looks ? await lookAtBlob(container, blob.name, signal) : undefined;
  if (
    found?.md5 !== undefined &&
    found.sizeBytes === sizeBytes &&
    found.md5 === (await md5AtSource(run, instance, signal))
  )
    return 'same';
  const body = borrowed({ ...bytes, body: gathered.body });
  const { head, body: whole } = await peeked(body, found ? maxIdentityBytes : 0);
  if (found) await judgeBlob(container, found, blob, head, signal);
  const blocks = partsOf(whole, blockBytes, sizeBytes, pool.memory(signal));
  const { stored, keptBlocks } = await uploadBlocks(context, { blob, sizeBytes: bytes.sizeBytes, blocks, found });
  if (keptBlocks > 0)
    run.log.info('upload resumed', { sopInstanceUid: instance.sopInstanceUid, blocksKept: keptBlocks });
  return stored;
}

/** A blob has at most 50,000 blocks (REST reference, "Put Block"). */
function blockSizeFor(blobBytes: number, configuredBytes: number): number {
  const mebibyte = 1024 * 1024;
  return Math.max(configuredBytes, Math.ceil(blobBytes / 50_000 / mebibyte) * mebibyte);
}

/** MD5 of an instance, hexadecimal. Reads the instance once more before it is sent, if a blob of its size exists. */
async function md5AtSource(run: Run, instance: ManifestInstance, signal: AbortSignal): Promise<string> {
  const bytes = metered(await run.open(instance, { signal }), { sent: () => {}, signal });
  const digest = createHash('md5');
  try {
    for await (const chunk of borrowed(bytes)) digest.update(chunk);
  } catch (thrown) {
    throw bytes.readError ?? thrown;
  } finally {
    await bytes.release();
  }
  return digest.digest('hex');
}

async function writeMarker(
  run: Run,
  container: Container,
  places: Places,
  quarantined: readonly ManifestInstance[],
): Promise<void> {
  const { config, signal } = run;
  const marker = studyMarker(run, config.marker, quarantined, (instance) => config.prefix + places.pathOf(instance));
  if (!marker) return;
  const { path, shownPath, content, mayReplace } = marker;
  const blob: BlobToSend = {
    name: config.prefix + path,
    contentType: 'application/json',
    mayReplace: (there) => mayReplace([there]),
    conflict: (occupant) => targetConflict(`${container.host} ${config.container}`, shownPath, occupant),
  };
  await putBlob(container, blob, content, true, signal);
}
