import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { lossWords, readInfo } from '@dicom-dispatch/runtime';
import { lookAtGeneration } from '@dicom-dispatch/state/generation';
import { finding, type HealthFinding } from './finding.ts';

/** How much of its memory Redis may use. */
const maxMemoryShare = 0.9;

/** Whether Redis has its data, accepts writes, persists them, and has memory. */
export async function lookAtRedis({ redis, config, keys }: PipelineContext): Promise<HealthFinding[]> {
  const { prefix } = config().redis;
  const { loss, asks } = await lookAtGeneration(redis, prefix);
  const findings: HealthFinding[] = [];
  if (loss) {
    findings.push(
      asks
        ? finding('redis-lost', {
            since: loss.at,
            words: 'Redis lost its data, and no router has a record of it',
            remedy: 'Choose where the sources start: dispatch recover.',
          })
        : finding('redis-lost', { since: loss.at, words: lossWords[loss.kind] }),
    );
  }
  const replication = await readInfo(redis, prefix, 'replication');
  try {
    // A write that a replica rejects makes the connection of a service search for the primary: the role is read instead.
    if (replication?.get('slave_read_only') === '1') throw new Error('READONLY');
    // XX on a missing member changes nothing; Redis nevertheless rejects the command if it accepts no writes.
    await redis.zadd(keys.processes, 'XX', 0, 'nobody');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // NOPERM: only this user may not write.
    if (!message.startsWith('NOPERM')) findings.push(refusal(message));
  }
  return [...findings, ...(await lookAtDisk(redis, prefix)), ...(await lookAtMemory(redis, prefix))];
}

function refusal(message: string): HealthFinding {
  const reason = /\b[A-Z]{3,}\b/.exec(message)?.[0] ?? 'unknown reason';
  return finding('redis-refuses-writes', {
    words: `Redis rejects writes (${reason}): nothing is routed, sent or confirmed`,
    remedy: remedies[reason],
  });
}

const remedies: Readonly<Record<string, string>> = {
  OOM: 'Redis is out of memory: raise maxmemory, or lower cache.maxMemory and records.keep.',
  MISCONF:
    'Redis cannot write to its disk: free space on it, or correct the permissions of its folder. See the log of Redis.',
  READONLY: 'This is a replica: set redis in the configuration to the primary, or use redis.sentinel.',
  NOREPLICAS: 'Redis has fewer replicas than min-replicas-to-write: start them.',
  CLUSTERDOWN: 'The Redis Cluster does not cover all slots: start its missing nodes.',
  LOADING: 'Redis is still loading its data: wait until it is ready.',
};

async function lookAtDisk(redis: PipelineContext['redis'], prefix: string): Promise<HealthFinding[]> {
  const info = await readInfo(redis, prefix, 'persistence');
  const failed = [
    info?.get('aof_enabled') === '1' && info.get('aof_last_write_status') === 'err' && 'the append-only file',
    info?.get('aof_enabled') === '1' &&
      info.get('aof_last_bgrewrite_status') === 'err' &&
      'the rewritten append-only file',
    info?.get('rdb_last_bgsave_status') === 'err' && 'its snapshot',
  ].filter((part) => typeof part === 'string');
  if (failed.length === 0) return [];
  return [finding('redis-not-persisting', { words: `Redis could not write ${failed.join(' and ')} to its disk` })];
}

async function lookAtMemory(redis: PipelineContext['redis'], prefix: string): Promise<HealthFinding[]> {
  const info = await readInfo(redis, prefix, 'memory');
  const max = Number(info?.get('maxmemory') ?? 0);
  const used = Number(info?.get('used_memory') ?? 0);
  if (max === 0) return [];
  const findings: HealthFinding[] = [];
  // A service does not start with another policy, but the policy may change later.
  const policy = info?.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    const words = `Redis may delete queues and confirmations when its memory is full (maxmemory-policy ${policy})`;
    findings.push(finding('redis-evicts', { words }));
  }
  if (used >= maxMemoryShare * max) {
    const percent = Math.round((100 * used) / max);
    findings.push(finding('redis-memory-low', { words: `Redis has used ${percent} % of its memory (maxmemory)` }));
  }
  return findings;
}
