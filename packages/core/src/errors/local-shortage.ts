import { closeSync, openSync } from 'node:fs';

/** What this process or its host has run out of. Neither a source nor a target is the cause. */
export interface LocalShortage {
  readonly reason: string;
  readonly remedy: string;
}

const memory: LocalShortage = {
  reason: 'this host is out of memory',
  remedy: 'Give the host or container of the dispatcher more memory.',
};

const files: LocalShortage = {
  reason: 'this process has reached its limit of open files and connections',
  remedy: 'Raise the limit of open files of the dispatcher: ulimit -n, LimitNOFILE in systemd, ulimits in Compose.',
};

/** Codes of node and libuv. */
const shortages: Readonly<Record<string, LocalShortage>> = {
  EMFILE: files,
  ENFILE: {
    reason: 'this host has reached its limit of open files',
    remedy: 'Raise fs.file-max on this host (sysctl).',
  },
  ENOMEM: memory,
  EAI_MEMORY: memory,
  ERR_MEMORY_ALLOCATION_FAILED: memory,
  ENOBUFS: {
    reason: 'this host is out of memory for connections',
    remedy:
      'Give the host or container of the dispatcher more memory, or raise net.ipv4.tcp_mem on this host (sysctl).',
  },
  EADDRNOTAVAIL: {
    reason: 'this host has no free local port, or no local address for the connection',
    remedy:
      'Close connections of other programs, or widen net.ipv4.ip_local_port_range on this host (sysctl). If this host has no IPv6 address, set the IPv4 address of the server instead of its name.',
  },
};

/** Codes of a failed name resolution, which also fails if this process cannot open the files of the resolver. */
const notResolved: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL']);

/** The shortage that an error of node reports; undefined for any other error. Its causes are not examined. */
export function localShortage(thrown: unknown): LocalShortage | undefined {
  if (!(thrown instanceof Error)) return undefined;
  // V8 has no code for this one.
  if (thrown instanceof RangeError && thrown.message === 'Array buffer allocation failed') return memory;
  if (!('code' in thrown) || typeof thrown.code !== 'string') return undefined;
  if (notResolved.has(thrown.code)) return isOutOfFiles() ? files : undefined;
  return Object.hasOwn(shortages, thrown.code) ? shortages[thrown.code] : undefined;
}

/** Whether this process cannot open a file now. */
function isOutOfFiles(): boolean {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return false;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && (thrown.code === 'EMFILE' || thrown.code === 'ENFILE');
  }
}

/**
 * The most specific one of an error, its causes, and the errors of several addresses that were tried (AggregateError). One
 * from the peer (connection refused) is more specific than that an address of another kind cannot be used on this host.
 */
export function innermostError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error) || depth > 5) return thrown;
  if (thrown instanceof AggregateError && thrown.errors.length > 0) {
    const all: unknown[] = thrown.errors.map((one) => innermostError(one, depth + 1));
    return all.find((one) => !isOfThisHost(one)) ?? all[0];
  }
  if (!(thrown.cause instanceof Error)) return thrown;
  const inner = innermostError(thrown.cause, depth + 1);
  return inner instanceof Error && ('code' in inner || !('code' in thrown)) ? inner : thrown;
}

function isOfThisHost(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return code === 'EADDRNOTAVAIL' || code === 'ENETUNREACH' || code === 'EAFNOSUPPORT';
}
